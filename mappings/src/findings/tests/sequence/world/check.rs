//! How it has to end.

use super::*;

impl World {
    /// Everything can be seen and reached again, and time goes on until nothing more is to be sent. Clocks stay as they are.
    pub(in super::super) fn heal(&mut self) {
        for vm in &mut self.vms {
            (vm.hidden, vm.nameless, vm.unreadable) = (false, false, [false; 4]);
            if vm.name == REFUSED {
                vm.name = 0;
            }
        }
        self.owners.append(&mut self.former);
        for _ in 0..20 {
            self.pass(hours(7));
            self.read();
            let plan = self.plan();
            if plan.is_empty() && plan.waiting == 0 {
                return;
            }
            self.cycle(&[], None);
        }
        panic!("it never comes to an end: {:?}", kinds(&self.plan()));
    }

    pub(in super::super) fn check(&self) {
        let fresh =
            plan(&self.problems(), &Book::default(), seen, &self.owners[0], &self.policy(), self.now());
        let there = |vm: &Vm, rule: usize| vm.alive && vm.rules[rule].is_some() && !vm.accepted[rule];
        let expected: BTreeSet<(usize, &str)> = (self.vms.iter().enumerate())
            .flat_map(|(at, vm)| {
                let rules = RULES.iter().enumerate().filter(move |(rule, _)| there(vm, *rule));
                rules.map(move |(_, (rule, family))| (at, if self.is_full() { *rule } else { *family }))
            })
            .collect();
        assert_eq!(fresh.changes.len(), expected.len());
        let mut active: Vec<&Content> = Vec::new();
        for (id, held) in &self.hub.held {
            let content = &held.finding.content;
            if let Some(decided) = self.decided.get(id) {
                assert_eq!(held.people.workflow, *decided, "{id}");
            }
            if let Some(set) = self.people.get(id) {
                assert_eq!(held.people, People { workflow: held.people.workflow, ..set.clone() }, "{id}");
            }
            if owner_of(content) == STRANGER {
                continue;
            }
            if content.record_state == RecordState::Active {
                active.push(content);
                continue;
            }
            let (status, why) = (content.compliance.status, &content.product_fields["vmbridge/resolution"]);
            let has_passed = ["fixed", "gone", "replaced"].contains(&why.as_str());
            assert_eq!(status, if has_passed { Status::Passed } else { Status::NotAvailable }, "{why}");
            if !self.decided.contains_key(id) {
                assert_eq!(held.people.workflow, WorkflowStatus::Resolved, "{id}");
            }
        }
        for change in &fresh.changes {
            let wanted = &change.record.content;
            let found = active.iter().position(|content| told(content) == told(wanted));
            match found {
                Some(at) => drop(active.swap_remove(at)),
                None => {
                    let held = &self.hub.held[&wanted.id].finding.content;
                    assert_eq!((owner_of(held), held.record_state), (STRANGER, RecordState::Active));
                }
            }
        }
        assert!(active.is_empty(), "nobody has these problems, or they are told twice: {active:#?}");
    }
}

/// What a finding tells, whether or not its name was made while the instance UUID could be read.
fn told(content: &Content) -> Content {
    let mut content = content.clone();
    content.id = "".into();
    content.product_fields.remove("vmbridge/content");
    content
}
