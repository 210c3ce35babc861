//! What a new configuration costs those who are followed.

use std::path::Path;

use mappings::checks::{Kind, Reading, Sources, Subject, parse};
use vmbridge_simulator::{Simulator, SimulatorConfig};

use super::*;

/// The shipped rules; with a suppression of what every host fails, and with one more rule.
fn rules(suppressed: bool, more: bool) -> Arc<RuleSet> {
    let mut text = String::new();
    if more {
        text += "[[rule]]\nid = \"acme-vm-notes\"\nkind = \"vm\"\ntitle = \"t\"\nseverity = \"low\"\nfamily = \"acme\"\n\
                 rationale = \"r\"\nremediation = \"r\"\nread = { path = \"config.annotation\" }\nexpect = { present = true }\n";
    }
    if suppressed {
        text += "[[suppress]]\nrule = \"host-build-age\"\nobjects = \"all\"\nreason = \"r\"\nuntil = 2100-01-01\n";
    }
    let file = parse("acme.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    Arc::new(RuleSet::new(Sources { files: vec![file], ..Sources::default() }).unwrap())
}

/// What the rule about the age of builds says of hosts, and how many VMs have readings.
fn said(fleet: &SharedFleet) -> (Vec<&'static str>, usize) {
    let fleet = fleet.read();
    let part = fleet.part(&part("dc1")).unwrap();
    let rules = part.reads().unwrap().rules();
    // More than a year after the build of the simulator's hosts.
    let now = "2026-11-28T12:00:00Z".parse().unwrap();
    let mut words = Vec::new();
    for setup in part.setups().iter().filter(|setup| setup.kind() == Kind::Host) {
        let subject = Subject { kind: Kind::Host, version: None, is_provider_managed: false, facts: setup };
        let readings: Vec<Reading> = setup.readings().unwrap_or_default();
        let of_rule = rules
            .evaluate(&subject, &readings, now)
            .find(|outcome| outcome.rule.id.as_str() == "host-build-age");
        words.push(of_rule.unwrap().status.word());
    }
    words.sort_unstable();
    words.dedup();
    (words, part.vms().filter(|vm| vm.readings().is_some()).count())
}

/// Somebody accepts a finding, or puts a text better: that holds at once, and vCenter is asked for nothing.
#[tokio::test]
async fn other_rules_that_read_the_same_cost_no_call() {
    let simulator = Simulator::start(SimulatorConfig::single(40, 3)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, vcenter.password()).unwrap();
    let text = format!(
        "[[vcenter]]\nname = \"dc1\"\nurl = \"{}\"\nusername = \"{}\"\npassword = {{ file = \"{}\" }}\nthumbprints = [\"{}\"]\n",
        vcenter.url(),
        vcenter.username(),
        password.display(),
        vcenter.thumbprint()
    );
    let environment = Environment::default();
    let config = crate::config::parse(&text, Path::new("vmbridge.toml"), &environment).unwrap();
    let fleet = SharedFleet::new();
    let mut observers = start(&config, environment, fleet.clone(), Mode::Live, Some(rules(false, false)));
    tokio::time::timeout(Duration::from_secs(120), observers.first_picture()).await.unwrap();
    let (words, read) = said(&fleet);
    assert!(words.contains(&"failed") && !words.contains(&"suppressed"), "{words:?}");
    assert_eq!(read, 40);

    let asked = || {
        // What follows changes waits for them all the time, and says now and then that it is there.
        let waits = ["WaitForUpdatesEx", "CurrentTime"];
        let calls = vcenter.calls().calls;
        calls.into_keys().filter(|call| !waits.contains(&call.as_str())).collect::<Vec<_>>()
    };
    vcenter.reset_calls();
    observers.reload(&config, Some(rules(true, false))).await;
    let (words, read) = said(&fleet);
    assert!(words.contains(&"suppressed") && !words.contains(&"failed"), "{words:?}");
    assert_eq!(read, 40, "nothing was forgotten");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asked(), Vec::<String>::new());

    // A rule that reads something else: everything is read anew.
    observers.reload(&config, Some(rules(true, true))).await;
    tokio::time::timeout(Duration::from_secs(120), async {
        while said(&fleet).1 < 40 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    assert!(asked().iter().any(|call| call == "Login"), "{:?}", asked());
    observers.close().await;
}
