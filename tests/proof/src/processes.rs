//! The processes of the functions, as the kernel shows them (`/proc`; elsewhere there seem to be none).

use std::fs;
use std::time::Duration;

use tokio::process::Command;

/// A function's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    /// The function, such as `token-refresh`.
    pub(crate) function: String,
}

/// The processes of all functions whose parent is the stand-in.
pub(crate) fn functions(stand_in: u32) -> Vec<Process> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok();
        let environment =
            fs::read(format!("/proc/{id}/environ")).ok().filter(|_| parent == Some(stand_in))?;
        let variables =
            environment.split(|byte| *byte == 0).filter_map(|pair| std::str::from_utf8(pair).ok());
        let name = variables.filter_map(|pair| pair.strip_prefix("AWS_LAMBDA_FUNCTION_NAME=")).next()?;
        let function = name.strip_prefix(bucketwheel_local::STACK)?.strip_prefix('-')?.to_owned();
        Some(Process { id, function })
    })
    .collect()
}

/// The memory that a process has, in KiB.
pub(crate) fn memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Sends a signal, such as `KILL`.
pub(crate) async fn signal(id: u32, name: &str) -> bool {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {id} 2>/dev/null")]).status().await;
    sent.is_ok_and(|status| status.success())
}

/// The kernel counts in these (USER_HZ, which Linux shows as 100 everywhere).
const TICKS_A_SECOND: u64 = 100;

/// How much of a core a process has spent, in user and kernel.
pub(crate) fn busy(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name in brackets may have spaces; the fields behind it are numbered from 3 (proc_pid_stat(5)).
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 1_000 / TICKS_A_SECOND)
}
