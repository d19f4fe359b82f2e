// What makes the pages nicer to use. Everything works without it.

// Dates in the reader's zone; the exact time on hovering. The server writes them in UTC.
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
for (const time of document.querySelectorAll("time")) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  time.title = `${exact.format(at)} · ${time.dateTime}`;
  if (!time.hasAttribute("data-relative")) time.textContent = day.format(at);
}

// Buttons that copy what stands beside them.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const label = button.textContent;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }
}

// A known operation fills in the form of a call.
for (const choice of document.querySelectorAll("select[data-fills]")) {
  choice.addEventListener("change", () => {
    const [method, path] = choice.value.split(" ");
    if (!path) return;
    document.getElementById("method").value = method;
    document.getElementById("path").value = path;
  });
}

// One box ticks them all.
for (const all of document.querySelectorAll("input[data-ticks]")) {
  all.closest("label").hidden = false;
  all.addEventListener("change", () => {
    for (const one of document.getElementsByName(all.dataset.ticks)) one.checked = all.checked;
  });
}
