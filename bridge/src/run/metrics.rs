//! Metrics in the text form of Prometheus.
//!
//! Counters live in one recorder for as long as the process does. What describes the state now (gauges per source) is put
//! into a fresh recorder for every answer, so that a source that is gone leaves no series behind. Labels are the names of
//! sources and words from fixed lists, never VMs: the number of series is bounded by the configuration.

use metrics::{counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::overview::Overview;
use super::process;
use crate::fleet::State;

/// The metrics of this process.
#[derive(Clone)]
pub(super) struct Metrics {
    counters: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Starts counting: from now on the macros of the crate `metrics` count into what [`render`](Self::render) shows.
    #[must_use]
    pub(super) fn install() -> Self {
        let (metrics, recorder) = Self::new();
        // Fails when another recorder counts already, as in tests that share a process.
        let _ = metrics::set_global_recorder(recorder);
        metrics
    }

    fn new() -> (Self, PrometheusRecorder) {
        let recorder = PrometheusBuilder::new().build_recorder();
        let counters = recorder.handle();
        with_local_recorder(&recorder, || {
            describe_counter!(
                "vmbridge_changes_total",
                "Changes of the fleet since the start, by vCenter and kind."
            );
            describe_counter!(
                "vmbridge_source_interruptions_total",
                "How often the connection to a source was lost since the start."
            );
            describe_counter!("vmbridge_reloads_total", "Reloads of the configuration, by result.");
            for result in ["ok", "invalid"] {
                counter!("vmbridge_reloads_total", "result" => result).absolute(0);
            }
        });
        (Self { counters }, recorder)
    }

    /// The text for `/metrics`.
    #[must_use]
    pub(super) fn render(&self, overview: &Overview) -> String {
        self.counters.run_upkeep();
        let mut text = self.counters.render();
        text.push_str(&render_state(overview));
        process::write_metrics(&mut text);
        text
    }
}

fn render_state(overview: &Overview) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    with_local_recorder(&recorder, || {
        describe_gauge!("vmbridge_build_info", "1; the version is in the label.");
        describe_gauge!("vmbridge_ready", "1 when /readyz answers 200.");
        describe_gauge!("vmbridge_vms", "VMs, by vCenter and power state.");
        describe_gauge!("vmbridge_hosts", "Hosts, by vCenter.");
        describe_gauge!("vmbridge_datastores", "Datastores, by vCenter.");
        describe_gauge!("vmbridge_source_state", "1 for the state that a source is in, 0 for the others.");
        describe_gauge!(
            "vmbridge_source_age_seconds",
            "Seconds since what is known of a source was last known to be current."
        );
        describe_gauge!("vmbridge_nodes", "Managed nodes, by target.");
        describe_gauge!("vmbridge_target_up", "1 when the last reading of a target went well.");
        describe_gauge!(
            "vmbridge_target_age_seconds",
            "Seconds since the last complete reading of a target."
        );
        describe_gauge!(
            "vmbridge_engine_actions",
            "Actions that are waiting, running, or open (their end is not known)."
        );
        describe_gauge!("vmbridge_engine_held", "Sets of changes that wait for `vmbridge approve`.");
        describe_gauge!("vmbridge_windows", "Openings of maintenance windows that come or are open.");
        describe_gauge!(
            "vmbridge_windows_in_doubt",
            "Openings that will not be as their policies want it; `vmbridge windows` says why."
        );
        describe_gauge!(
            "vmbridge_engine_problems",
            "What keeps anything from being done, such as a full disk."
        );
        describe_gauge!("vmbridge_engine_cycles", "Plans made since the start.");
        for target in &overview.targets {
            let name = || target.name.clone();
            gauge!("vmbridge_nodes", "target" => name()).set(target.nodes as f64);
            let up = f64::from(u8::from(target.error.is_none() && target.age_seconds.is_some()));
            gauge!("vmbridge_target_up", "target" => name()).set(up);
            if let Some(age) = target.age_seconds {
                gauge!("vmbridge_target_age_seconds", "target" => name()).set(age as f64);
            }
        }
        if let Some(engine) = &overview.engine {
            let states = [("waiting", engine.waiting), ("running", engine.running), ("open", engine.open)];
            for (state, count) in states {
                gauge!("vmbridge_engine_actions", "state" => state).set(count as f64);
            }
            gauge!("vmbridge_engine_held").set(engine.held.len() as f64);
            gauge!("vmbridge_windows").set(engine.windows as f64);
            gauge!("vmbridge_windows_in_doubt").set(engine.windows_in_doubt as f64);
            gauge!("vmbridge_engine_problems").set(engine.problems.len() as f64);
            gauge!("vmbridge_engine_cycles").set(engine.cycles as f64);
        }
        gauge!("vmbridge_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!("vmbridge_ready").set(f64::from(u8::from(overview.ready().is_ok())));
        for source in &overview.sources {
            let name = || source.name.clone();
            let vms = &source.counts;
            let powers =
                [("on", vms.on), ("off", vms.off), ("suspended", vms.suspended), ("unknown", vms.unknown)];
            for (power, count) in powers {
                gauge!("vmbridge_vms", "vcenter" => name(), "power_state" => power).set(count as f64);
            }
            gauge!("vmbridge_hosts", "vcenter" => name()).set(source.counts.hosts as f64);
            gauge!("vmbridge_datastores", "vcenter" => name()).set(source.counts.datastores as f64);
            for state in State::ALL {
                let is = f64::from(u8::from(source.state == state));
                gauge!("vmbridge_source_state", "source" => name(), "state" => state.word()).set(is);
            }
            if let Some(age) = source.age_seconds {
                gauge!("vmbridge_source_age_seconds", "source" => name()).set(age as f64);
            }
        }
    });
    handle.render()
}

/// Counts changes of the fleet.
pub(super) fn count_changes(vcenter: &str, kind: &'static str, count: u64) {
    counter!("vmbridge_changes_total", "vcenter" => vcenter.to_owned(), "kind" => kind).increment(count);
}

/// Counts a lost connection.
pub(super) fn count_interruption(source: &str) {
    counter!("vmbridge_source_interruptions_total", "source" => source.to_owned()).increment(1);
}

/// Counts a reload: `ok` or `invalid`.
pub(super) fn count_reload(result: &'static str) {
    counter!("vmbridge_reloads_total", "result" => result).increment(1);
}

#[cfg(test)]
mod tests {
    use super::super::overview::tests::source;
    use super::*;

    fn lines(text: &str, name: &str) -> Vec<String> {
        let mut lines: Vec<String> =
            text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    #[test]
    fn sources_that_are_gone_leave_no_series_behind_and_counters_stay() {
        let (metrics, recorder) = Metrics::new();
        with_local_recorder(&recorder, || {
            count_changes("dc1", "changed", 2);
            count_interruption("dc1");
        });
        let both = Overview {
            sources: vec![source("dc1", State::Current), source("cloud/sddc \"1\"", State::Stale)],
            first_picture: true,
            ..Overview::default()
        };
        let text = metrics.render(&both);
        assert_eq!(
            lines(&text, "vmbridge_vms{vcenter=\"dc1\""),
            [
                r#"vmbridge_vms{vcenter="dc1",power_state="off"} 1"#,
                r#"vmbridge_vms{vcenter="dc1",power_state="on"} 3"#,
                r#"vmbridge_vms{vcenter="dc1",power_state="suspended"} 0"#,
                r#"vmbridge_vms{vcenter="dc1",power_state="unknown"} 0"#,
            ]
        );
        assert!(
            text.contains(r#"vmbridge_source_state{source="cloud/sddc \"1\"",state="stale"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"vmbridge_source_age_seconds{source="dc1"} 4"#));
        let one = Overview {
            sources: vec![source("dc1", State::Current)],
            first_picture: true,
            ..Overview::default()
        };
        let text = metrics.render(&one);
        assert!(!text.contains("cloud"), "{text}");
        assert!(text.contains(r#"vmbridge_changes_total{vcenter="dc1",kind="changed"} 2"#), "{text}");
        assert!(text.contains(r#"vmbridge_source_interruptions_total{source="dc1"} 1"#));
        assert!(text.contains(r#"vmbridge_reloads_total{result="invalid"} 0"#));
        assert!(text.contains("vmbridge_ready 1"));
    }

    #[test]
    fn every_metric_is_explained_once_and_in_the_documentation() {
        let (metrics, recorder) = Metrics::new();
        with_local_recorder(&recorder, || {
            count_changes("dc1", "changed", 2);
            count_interruption("dc1");
        });
        let text = metrics.render(&Overview {
            sources: vec![source("dc1", State::Current)],
            first_picture: true,
            ..Overview::default()
        });
        let documentation = include_str!("../../../docs/operator-guide.md");
        let mut names: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name is declared twice");
        assert!(count >= 10, "{names:?}");
        for name in names {
            assert!(text.contains(&format!("# HELP {name} ")), "{name} is not explained");
            assert!(documentation.contains(&format!("`{name}`")), "{name} is not in docs/operator-guide.md");
        }
    }
}
