//! The memory of all processes over time, as SVG that reads in light and in dark.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

const COLOURS: [&str; 7] = ["#b35900", "#0969da", "#1a7f37", "#8250df", "#cf222e", "#57606a", "#9a6700"];
const WIDE: f64 = 520.0;
const HIGH: f64 = 240.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
/// How far one label is from the next.
const LINE: f64 = 14.0;

/// One line for each process, on a logarithmic scale: the stand-in has ten times what a function has.
pub(crate) fn memory(samples: &[(Duration, BTreeMap<String, u64>)]) -> String {
    let names: BTreeSet<&String> = samples.iter().flat_map(|(_, all)| all.keys()).collect();
    let end = samples.last().map_or(1.0, |(at, _)| at.as_secs_f64().max(1.0));
    let most = samples.iter().flat_map(|(_, all)| all.values()).copied().max().unwrap_or(1);
    let (low, high) = (4_096_f64.ln(), (most as f64).max(8_192.0).ln());
    let x = |at: Duration| LEFT + at.as_secs_f64() / end * WIDE;
    let y = |kib: u64| TOP + HIGH - ((kib as f64).max(4_096.0).ln() - low) / (high - low) * HIGH;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 320\" role=\"img\" aria-label=\"Memory during the soak\">\n\
         <style>text{{font:13px system-ui,sans-serif;fill:#24292f}}.axis{{stroke:#8c959f;fill:none}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}}}</style>\n\
         <text x=\"{LEFT}\" y=\"22\" font-weight=\"600\">Memory during the soak</text>\n\
         <path class=\"axis\" d=\"M{LEFT} {TOP}V{}H{}\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.0} minutes</text>\n",
        TOP + HIGH,
        LEFT + WIDE,
        LEFT + WIDE,
        TOP + HIGH + 20.0,
        end / 60.0
    );
    for mib in [4, 16, 64, 256, 1_024].into_iter().filter(|mib| mib * 1_024 <= most) {
        let at = y(mib * 1_024) + 4.0;
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"{at:.1}\" text-anchor=\"end\">{mib} MiB</text>", LEFT - 4.0);
    }
    let mut labels = Vec::new();
    for (n, name) in names.into_iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let points = samples.iter().filter_map(|(at, all)| Some((x(*at), y(*all.get(name)?))));
        let path: Vec<_> = points.map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let last = samples.iter().rev().find_map(|(_, all)| all.get(name)).copied().unwrap_or_default();
        let path = path.join("L");
        let _ = writeln!(svg, "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" d=\"M{path}\"/>");
        labels.push((y(last) + 4.0, colour, name));
    }
    // From the lowest upwards, each at its line or clear of the one below.
    labels.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut below = f64::INFINITY;
    for (at, colour, name) in labels {
        let (at, x) = (at.min(below - LINE), LEFT + WIDE + 6.0);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{at:.1}\" style=\"fill:{colour}\">{name}</text>");
        below = at;
    }
    svg + "</svg>\n"
}
