//! How long one plan takes: processor time, because a plan waits for nothing and others may be using the machine.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

use crate::world::{NODES, VMS, World, tags};

/// The processor time of this thread.
fn milliseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// How long one plan took, in milliseconds.
#[derive(Clone, Copy)]
struct Figures {
    least: f64,
    median: f64,
    p99: f64,
}

impl World {
    /// Plans again and again.
    fn measure(&self, rounds: usize, actions: usize) -> Figures {
        let mut took: Vec<f64> = (0..rounds)
            .map(|_| {
                let began = milliseconds();
                let plan = black_box(self.plan());
                let took = milliseconds() - began;
                assert_eq!((plan.vms.len(), plan.actions.len()), (VMS as usize, actions));
                took
            })
            .collect();
        took.sort_by(f64::total_cmp);
        let at = |percent: usize| took[(took.len() - 1) * percent / 100];
        Figures { least: at(0), median: at(50), p99: at(99) }
    }
}

/// Nodes that are seen for the first time, nothing to do, and every node changing; with the simplest choice of VMs and with
/// one that looks at folders and tags.
pub(crate) fn figures(rounds: usize) -> Vec<String> {
    let mut told = Vec::new();
    for (name, vms) in [("all", "all"), ("by folder and tag", "folder=/** and tag=Environment:*")] {
        let (mut world, nodes) = (World::new(vms), NODES as usize);
        let mut tell = |situation: &str, Figures { least, median, p99 }: Figures| {
            let figure = format!(
                r#"{{"vms": "{name}", "situation": "{situation}", "least": {least:.1}, "median": {median:.1}, "p99": {p99:.1}}}"#
            );
            eprintln!("{figure}");
            told.push(figure);
        };
        tell("every node is new", world.measure(rounds, nodes));
        let first = world.plan();
        world.apply(first);
        tell("nothing to do", world.measure(rounds, 0));
        world.fleet.apply(&world.vcenter, tags(1), world.now);
        tell("every node changes", world.measure(rounds, nodes));
        let changes = world.plan();
        world.apply(changes);
        assert!(world.plan().actions.is_empty(), "done is done");
    }
    told
}
