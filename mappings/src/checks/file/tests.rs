use super::*;

fn mistakes(text: &str) -> String {
    match parse("acme.toml", text) {
        Ok(file) => panic!("{file:?}"),
        Err(mistakes) => mistakes.iter().map(|mistake| format!("{mistake}\n")).collect(),
    }
}

const GOOD: &str = r#"
[[rule]]
id = "acme-vm-owner"
kind = "vm"
title = "The VM says who owns it"
severity = "low"
family = "acme"
rationale = "Somebody has to be asked."
remediation = "Set the owner."
read = { path = "config.annotation" }
expect = { matches = "*owner:*", missing = "fail" }
"#;

#[test]
fn a_rule_is_read_with_its_line() {
    let file = parse("acme.toml", GOOD).unwrap();
    let [(rule, 2)] = &file.rules[..] else { panic!("{file:?}") };
    assert_eq!((rule.id.as_str(), rule.family.as_str(), rule.cases.len()), ("acme-vm-owner", "acme", 1));
}

#[test]
fn every_mistake_names_its_place_and_what_is_allowed() {
    insta::assert_snapshot!(mistakes(
        r#"
[[rule]]
id = "Acme VM"
kind = "vms"
titel = "misspelt"
title = ""
severity = "hihg"
family = "acme_own"
rationale = 7
link = "http://example.com/"
references = { scg = [], nist = "AC-2" }
applies = "7.0"
when = { read = { path = "config.firmware" }, equals = "efi" }
read = { path = "config extraConfig", key = "a" }
expect = { equels = "x" }

[[rule]]
id = "two"
kind = "host"
title = "t"
severity = "low"
family = "f"
rationale = "r"
remediation = "r"
read = { path = "config.option", key = "a", count = true }
expect = [
    { is = true, missing = "fail" },
    { versions = ">=8.0", is = "true", missing = "maybe" },
]

[[rule]]
id = "three"
kind = "host"
title = "t"
severity = "low"
family = "f"
rationale = "r"
remediation = "r"
read = { path = "config.hardware.device", types = ["VirtualDisk"], field = "backing.diskMode" }
expect = { between = [9, 1], present = true }

[[rule]]
id = "four"
kind = "host"
title = "t"
severity = "low"
family = "f"
rationale = "r"
remediation = "r"
read = { path = "config.hardware.device", types = ["VirtualDisk"] }
expect = { is = true }

[[rule]]
id = "five"
kind = "host"
title = "t"
severity = "low"
family = "f"
rationale = "r"
remediation = "r"
read = { path = "config.certificate", certificate = "end", field = "x" }
expect = { at_least_days_ahead = -1, at_least_version = "new", matches = "[", one_of = [], missing = "pass" }

[[suppress]]
rule = "five"
family = "f"
objects = "floder=/Lab"
reason = " "
until = "next year"

[[suppress]]
rules = "five"
objects = "all"

[[rules]]
"#
    ));
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    assert!(mistakes("[[rule]]\nid = \n").starts_with("acme.toml:2: this is not TOML: "));
    assert!(
        mistakes("rule = 1").starts_with("acme.toml:1: rule: this is not a list of tables; write [[rule]]")
    );
    assert!(mistakes("rule = [1]").starts_with("acme.toml:1: "));
    assert!(mistakes(&"#".repeat(LONGEST + 1)).starts_with("acme.toml: the file is longer than 4 MiB"));
    assert!(mistakes(&format!("{GOOD}{GOOD}")).contains("acme.toml:13: acme-vm-owner: id: another rule"));
}

#[test]
fn a_day_ends_at_its_end_and_a_time_at_once() {
    let until = |text: &str| {
        let text =
            format!("[[suppress]]\nfamily = \"f\"\nobjects = \"all\"\nreason = \"r\"\nuntil = {text}\n");
        parse("a.toml", &text).unwrap().suppressions.remove(0).until.to_string()
    };
    assert_eq!(until("2027-03-31"), "2027-03-31T23:59:59.999999999Z");
    assert_eq!(until("\"2027-03-31\""), "2027-03-31T23:59:59.999999999Z");
    assert_eq!(until("2027-03-31T18:00:00+02:00"), "2027-03-31T16:00:00Z");
}
