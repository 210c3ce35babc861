use jiff::civil::date;

use super::*;

const OWN: &str = "
[[rule]]
id = \"acme-vm-owner\"
kind = \"vm\"
title = \"The VM says who owns it\"
severity = \"low\"
family = \"acme-owners\"
rationale = \"Somebody has to be asked.\"
remediation = \"Set the owner.\"
read = { path = \"config.annotation\" }
expect = { matches = \"*owner:*\", missing = \"fail\" }
[[rule]]
id = \"acme-vm-old\"
kind = \"vm\"
title = \"The VM is not too old\"
severity = \"low\"
family = \"acme-owners\"
rationale = \"Old ones break.\"
remediation = \"Renew it.\"
read = { path = \"config.version\" }
expect = { matches = \"vmx-2*\", missing = \"pass\" }
";

/// A directory with a configuration and files beside it.
struct Directory(tempfile::TempDir);

impl Directory {
    fn with(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn accept(&self, text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        parse(text, &self.path().join("vmbridge.toml"), &environment(variables))
    }
}

#[test]
fn nothing_is_written_anywhere_unless_it_is_turned_on() {
    let config = accept(MINIMAL, &[]);
    for mode in [config.inventory.mode, config.compliance.mode, config.findings.mode] {
        assert_eq!(mode, Mode::Off);
    }
    let findings = &config.findings;
    // What belongs to others is touched on demand only, and what costs money is little by itself.
    assert!(!findings.resolve_patch_manager);
    assert_eq!(findings.folding, FindingFolding::Folded);
    assert!(findings.checks && findings.unmanaged && findings.offline && findings.protection);
    assert!(findings.patches);
    assert_eq!(findings.owner_tag, None);
    assert_eq!(findings.refresh_after, Duration::from_secs(60 * 24 * 3600));
    assert!(config.compliance.hardening && config.compliance.protection);
    let checks = &config.checks;
    assert!(checks.defaults && checks.files.is_empty() && checks.families.is_empty());
    assert!(checks.disable.is_empty() && checks.suppressions.is_empty());
}

#[test]
fn what_is_written_about_reports_is_understood() {
    let text = format!(
        "{MINIMAL}
[inventory]
mode = \"enforce\"
[compliance]
mode = \"off\"
hardening = false
[checks]
defaults = false
files = [\"rules.toml\", \"/srv/more.toml\"]
families = [\"acme-*\"]
disable = [\"acme-vm-old\"]
[[checks.suppress]]
name = \"erp\"
rules = [\"vm-*\"]
vms = \"tag=App:erp\"
reason = \"CHG-1\"
until = 2027-03-31
[[checks.suppress]]
rules = [\"host-ssh-*\"]
reason = \"CHG-2\"
until = \"2027-01-01\"
[findings]
mode = \"enforce\"
folding = \"full\"
refresh_days = 20
owner_tag = \"Owner\"
resolve_patch_manager = true
patches = false
most_per_cycle = 20000
[[aws]]
name = \"main\"
region = \"eu-central-1\"
[[aws]]
name = \"far\"
region = \"eu-south-2\"
findings_region = \"eu-central-1\"
"
    );
    let directory = Directory::with(&[("rules.toml", OWN), ("more.toml", "")]);
    let text = text.replace("/srv/", &format!("{}/", directory.path().display()));
    let config = directory
        .accept(&text, &[("VMBRIDGE_CHECKS__SUPPRESS__ERP__UNTIL", "2027-06-30")])
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((config.inventory.mode, config.compliance.mode), (Mode::Enforce, Mode::Off));
    assert!(!config.compliance.hardening && config.compliance.protection);
    let checks = &config.checks;
    assert!(!checks.defaults);
    // Relative paths start at the configuration.
    let files = ["rules.toml", "more.toml"].map(|name| directory.path().join(name));
    assert_eq!(checks.files, files);
    assert!(checks.families[0].matches("acme-owners") && !checks.families[0].matches("vm"));
    assert!(checks.disable[0].matches("acme-vm-old"));
    let ids: Vec<&str> = config.rules.all().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["acme-vm-owner"], "of the families that are wanted, without what is disabled");
    let [erp_of_rules, _] = config.rules.suppressions() else { panic!("{:#?}", config.rules) };
    assert_eq!(erp_of_rules.name.as_deref(), Some("erp"));
    assert_eq!(erp_of_rules.until.to_string(), "2027-06-30T23:59:59.999999999Z");
    assert!(config.observed_rules().is_some());
    let [erp, ssh] = &checks.suppressions[..] else { panic!("{checks:#?}") };
    assert_eq!((erp.name.as_deref(), erp.until), (Some("erp"), date(2027, 6, 30)));
    assert_eq!((ssh.name.as_deref(), ssh.until), (None, date(2027, 1, 1)));
    assert_eq!((erp.vms.to_string().as_str(), ssh.reason.as_str()), ("tag=App:erp", "CHG-2"));
    assert!(ssh.vms.is_everything());
    let findings = &config.findings;
    assert_eq!((findings.mode, findings.folding), (Mode::Enforce, FindingFolding::Full));
    assert_eq!(findings.refresh_after, Duration::from_secs(20 * 24 * 3600));
    assert_eq!(findings.owner_tag.as_deref(), Some("Owner"));
    assert!(findings.resolve_patch_manager && !findings.patches);
    assert_eq!(findings.most_per_cycle, 20_000);
    let regions: Vec<&str> = config.aws.iter().map(AwsTarget::hub_region).collect();
    assert_eq!(regions, ["eu-central-1", "eu-central-1"]);
}

#[test]
fn mistakes_about_reports_have_their_place_and_remedy() {
    let suppress = "[[checks.suppress]]\nrules = [\"a\"]\nreason = \"b\"\n";
    let target = "[[aws]]\nname = \"a\"\nregion = \"eu-central-1\"\n";
    let cases = [
        ("[checks]\nfamilies = \"[a\"".to_owned(), "checks.families", (7, 12), "a list"),
        ("[checks]\nfamilies = [\"[a\"]".to_owned(), "checks.families[1]", (7, 13), "["),
        ("[checks]\nfiles = [\"~/x\"]".to_owned(), "checks.files[1]", (7, 10), "whole path"),
        (suppress.to_owned(), "checks.suppress[1].until", (6, 1), "2027-03-31"),
        (format!("{suppress}until = 2027-03-31T10:00:00Z"), "checks.suppress[1].until", (9, 9), "year first"),
        (format!("{suppress}until = \"31.03.2027\""), "checks.suppress[1].until", (9, 9), "year first"),
        (format!("{suppress}until = 2027"), "checks.suppress[1].until", (9, 9), "expected a day"),
        (
            "[[checks.suppress]]\nrules = []\nreason = \"b\"\nuntil = 2027-03-31".to_owned(),
            "checks.suppress[1].rules",
            (7, 9),
            "at least one rule",
        ),
        ("[findings]\nfolding = \"ful\"".to_owned(), "findings.folding", (7, 11), "did you mean `full`"),
        ("[findings]\nrefresh_days = 90".to_owned(), "findings.refresh_days", (7, 16), "from 1 to 80"),
        ("[findings]\nunmanagd = true".to_owned(), "findings", (7, 1), "did you mean `unmanaged`"),
        (
            format!("{target}findings_region = \"us-gov-west-1\""),
            "aws.a.findings_region",
            (9, 19),
            "partition aws",
        ),
    ];
    for (added, setting, place, word) in &cases {
        let (problem, found) = only_mistake(&format!("{MINIMAL}{added}\n"));
        assert_eq!(problem.setting(), *setting, "{added}: {}", problem.message());
        assert_eq!(found, Some(*place), "{added}: {}", problem.message());
        let text = format!("{} {}", problem.message(), problem.help().unwrap_or_default());
        assert!(text.contains(word), "{added}: {text}");
    }
}

/// Mistakes in files of rules and in what is said of them come all at once, each with what to do.
#[test]
fn mistakes_of_rules_are_mistakes_of_the_configuration() {
    let broken = OWN.replacen("low", "lowly", 1).replacen("missing = \"pass\"", "mising = \"pass\"", 1);
    let directory = Directory::with(&[("rules.toml", &broken), ("latin.toml", "")]);
    std::fs::write(directory.path().join("latin.toml"), b"# Gr\xf6\xdfe").unwrap();
    std::fs::create_dir(directory.path().join("folder.toml")).unwrap();
    let files = "[\"rules.toml\", \"absent.toml\", \"latin.toml\", \"folder.toml\"]";
    let text = format!("{MINIMAL}[checks]\nfiles = {files}\n[log]\nlevl = \"x\"\n");
    let errors = directory.accept(&text, &[]).unwrap_err();
    let shown = errors.to_string().replace(&directory.path().display().to_string(), "/etc/vmbridge");
    insta::assert_snapshot!(shown);
}

#[test]
fn names_that_no_rule_has_are_told_at_their_places() {
    let text = format!(
        "{MINIMAL}[checks]\nfamilies = [\"boott\"]\ndisable = [\"vm-secure-bot\"]\n[[checks.suppress]]\nrules = [\"vm-no-*\", \"vm-nothing\"]\nreason = \"a\"\nuntil = 2027-01-01\n"
    );
    let errors = refuse(&text, &[]);
    let told = errors.problems().iter();
    let told: Vec<_> =
        told.map(|problem| (problem.setting(), errors.place(problem), problem.message())).collect();
    assert_eq!(
        told,
        [
            ("checks.families", Some((7, 12)), "no rule is of the family `boott`"),
            ("checks.disable", Some((8, 11)), "no rule is called `vm-secure-bot`"),
            ("checks.suppress[1].rules", Some((10, 9)), "no rule is called `vm-nothing`"),
        ]
    );
}

#[test]
fn rules_are_observed_only_if_something_is_said_of_them() {
    let target = "[[aws]]\nname = \"a\"\nregion = \"eu-central-1\"\n";
    let observed = |text: &str| accept(&format!("{MINIMAL}{text}"), &[]).observed_rules().is_some();
    assert!(!observed(target) && !observed(""));
    let compliance = "[compliance]\nmode = \"observe\"\n";
    assert!(observed(&format!("{target}{compliance}")));
    assert!(!observed(&format!("{target}{compliance}hardening = false\n")));
    let findings = "[findings]\nmode = \"observe\"\n";
    assert!(observed(&format!("{target}{findings}")));
    assert!(!observed(&format!("{target}{findings}checks = false\n")));
}

#[test]
fn two_suppressions_have_not_the_same_name() {
    let one =
        "[[checks.suppress]]\nname = \"erp\"\nrules = [\"vm-*\"]\nreason = \"b\"\nuntil = \"2027-01-01\"\n";
    let (problem, _) = only_mistake(&format!("{MINIMAL}{one}{one}"));
    assert!(problem.message().contains("`erp` is taken"), "{}", problem.message());
}
