//! What this process uses, in the names that Prometheus clients have agreed on.
//!
//! Read from `/proc`. What cannot be read is left out: a missing figure is honest, a zero is not.

use std::fmt::Write;

/// Figures about a process.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
}

/// Appends the figures of this process to `out`.
pub(super) fn write_metrics(out: &mut String) {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (ticks, page) = (rustix::param::clock_ticks_per_second(), rustix::param::page_size());
    if let Some(usage) =
        parse(&text("/proc/self/stat"), boot_seconds(&text("/proc/stat")), ticks, page as u64)
    {
        let Usage { cpu_seconds, start_seconds, resident_bytes, virtual_bytes, threads } = usage;
        one(out, "process_cpu_seconds_total", "counter", "CPU time used, user and system.", cpu_seconds);
        one(out, "process_start_time_seconds", "gauge", "Start of the process, Unix time.", start_seconds);
        one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes);
        one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.", virtual_bytes);
        one(out, "process_threads", "gauge", "Threads.", threads);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        one(out, "process_open_fds", "gauge", "Open file descriptors.", files.count());
    }
}

fn one(out: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
}

fn boot_seconds(stat: &str) -> u64 {
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0)
}

/// Reads `/proc/self/stat`; the numbers of fields are those of proc(5), which counts from 1.
fn parse(stat: &str, boot: u64, ticks_per_second: u64, page_size: u64) -> Option<Usage> {
    // The second field is the program's name in parentheses, and may hold anything.
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / ticks_per_second.max(1) as f64;
    Some(Usage {
        cpu_seconds: seconds(field(14)? + field(15)?),
        threads: field(20)?,
        start_seconds: boot as f64 + seconds(field(22)?),
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_proc_stat_are_counted_right() {
        let stat = "4242 (a (strange) name) S 1 4242 4242 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 7 0 1000 104857600 2560 \
                    18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
        assert_eq!(
            parse(stat, 1_700_000_000, 100, 4096),
            Some(Usage {
                cpu_seconds: 2.0,
                start_seconds: 1_700_000_010.0,
                resident_bytes: 2560 * 4096,
                virtual_bytes: 104_857_600,
                threads: 7,
            })
        );
        assert_eq!(parse("garbage", 0, 100, 4096), None);
        assert_eq!(parse("1 (x) S 1", 0, 100, 4096), None);
    }

    #[test]
    fn this_process_has_figures() {
        let mut out = String::new();
        write_metrics(&mut out);
        for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
            let line = out.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap();
            assert!(line.parse::<f64>().unwrap() >= 0.0, "{name} {line}");
        }
    }
}
