//! What a configuration means, what is refused, and that nothing secret gets out.

mod mistakes;
mod overrides;
mod report;
mod robustness;

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::secret::SecretSource;

/// A vCenter with nothing left out that is required.
const MINIMAL: &str = "\
[[vcenter]]
name = \"dc1\"
url = \"https://vc.example.com/sdk\"
username = \"joe\"
password = { file = \"pw\" }
";

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

fn accept(text: &str, variables: &[(&str, &str)]) -> Config {
    parse(text, Path::new("/etc/vmbridge/vmbridge.toml"), &environment(variables))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn refuse(text: &str, variables: &[(&str, &str)]) -> ConfigErrors {
    match parse(text, Path::new("/etc/vmbridge/vmbridge.toml"), &environment(variables)) {
        Ok(config) => panic!("accepted: {config:#?}"),
        Err(errors) => errors,
    }
}

/// The one mistake of a text that has exactly one.
fn only_mistake(text: &str) -> (Problem, Option<(usize, usize)>) {
    let errors = refuse(text, &[]);
    assert_eq!(errors.problems().len(), 1, "{errors}");
    let problem = errors.problems()[0].clone();
    let place = errors.place(&problem);
    (problem, place)
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

#[test]
fn every_example_loads() {
    let credentials = environment(&[("CREDENTIALS_DIRECTORY", "/run/credentials/vmbridge.service")]);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            load(&path, &credentials).unwrap_or_else(|errors| panic!("{errors}"));
            names.push(path.file_name().unwrap().to_owned());
        }
    }
    assert!(names.iter().any(|name| name == "vmbridge.toml") && names.iter().any(|name| name == "demo.toml"));
}

#[test]
fn the_policies_of_the_guide_to_snapshots_are_understood() {
    let guide = include_str!("../../../../docs/snapshots.md");
    let blocks: Vec<&str> = guide
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("the block ends").0)
        .collect();
    assert!(blocks.len() >= 7, "{blocks:?}");
    for block in blocks {
        let config = accept(&format!("{MINIMAL}{block}"), &[]);
        assert!(!config.snapshots.policies.is_empty(), "{block}");
    }
}

#[test]
fn the_example_shows_the_defaults() {
    let credentials = environment(&[("CREDENTIALS_DIRECTORY", "/run/credentials")]);
    let shown = load(&examples().join("vmbridge.toml"), &credentials).unwrap();
    let minimal = accept(MINIMAL, &[]);
    assert_eq!(shown.limits, minimal.limits);
    assert_eq!(shown.http, minimal.http);
}

#[test]
fn the_demo_takes_addresses_and_secrets_from_the_environment() {
    let path = examples().join("demo.toml");
    let demo = load(
        &path,
        &environment(&[
            ("VMBRIDGE_VCENTER__DC1__URL", "https://127.0.0.1:40001"),
            ("VMBRIDGE_VCENTER__DC2__URL", "https://127.0.0.1:40002"),
            ("VMBRIDGE_VCENTER__DC1__PASSWORD__FILE", "/tmp/sim/password"),
            ("VMBRIDGE_VCENTER__DC1__CA_FILE", "/tmp/sim/ca.pem"),
            ("VMBRIDGE_VMC__CLOUD__CSP_URL", "https://127.0.0.1:40003"),
            ("VMBRIDGE_VMC__CLOUD__VMC_URL", "https://127.0.0.1:40003/vmc"),
            ("VMBRIDGE_VMC__CLOUD__REFRESH_TOKEN__FILE", "/tmp/sim/token"),
            ("VMBRIDGE_VMC__CLOUD__VCENTER__CA_FILE", "/tmp/sim/ca.pem"),
        ]),
    )
    .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(demo.vcenters.iter().map(|vcenter| vcenter.name.as_str()).collect::<Vec<_>>(), ["dc1", "dc2"]);
    assert_eq!(demo.vcenters[1].url.as_str(), "https://127.0.0.1:40002/");
    assert_eq!(demo.vcenters[0].password.source(), &SecretSource::File("/tmp/sim/password".into()));
    assert_eq!(demo.vmc[0].vmc_url.as_str(), "https://127.0.0.1:40003/vmc");
    assert_eq!(demo.vmc[0].vcenter.ca_file.as_deref(), Some(Path::new("/tmp/sim/ca.pem")));
    let VmcAuth::RefreshToken(token) = &demo.vmc[0].auth else { panic!("{:?}", demo.vmc[0].auth) };
    assert_eq!(token.source(), &SecretSource::File("/tmp/sim/token".into()));
}

#[test]
fn what_is_left_out_has_a_meaning() {
    let config = accept(MINIMAL, &[]);
    let vcenter = &config.vcenters[0];
    assert_eq!(vcenter.url.as_str(), "https://vc.example.com/");
    assert_eq!(vcenter.password.setting(), "vcenter.dc1.password");
    assert_eq!(vcenter.password.source(), &SecretSource::File("/etc/vmbridge/pw".into()));
    assert!(vcenter.scope.is_everything() && vcenter.events && vcenter.thumbprints.is_empty());
    assert_eq!(vcenter.ca_file, None);
    assert_eq!(config.limits.stale_after, Duration::from_secs(300));
    assert_eq!(config.limits.tags_full_refresh, Duration::from_secs(900));
    assert_eq!(config.log, Log { level: "info".to_owned(), format: LogFormat::Text });
    assert!(config.http.listen.ip().is_loopback());
}

#[test]
fn the_full_example_is_understood() {
    let credentials = environment(&[("CREDENTIALS_DIRECTORY", "/run/credentials")]);
    let config = load(&examples().join("vmbridge.toml"), &credentials).unwrap();
    let [dc1, dc2] = &config.vcenters[..] else { panic!("{config:#?}") };
    assert_eq!(dc1.password.source(), &SecretSource::File("/run/credentials/dc1-password".into()));
    assert_eq!(
        dc1.scope.to_string(),
        "folder=/Prod/**|/Stage/** and template=no or tag=Managed:vmbridge except tag=Patch:never or name=vCLS-*|*-golden"
    );
    assert_eq!(dc2.thumbprints.len(), 1);
    assert!(matches!(
        dc2.password.source(),
        SecretSource::SsmParameter { name, field: None, region: Some(region), endpoint: None }
            if name == "/vmbridge/dc2/password" && region == "eu-central-1"
    ));
    let [vmc] = &config.vmc[..] else { panic!("{config:#?}") };
    assert!(matches!(&vmc.auth, VmcAuth::OauthApp { id, .. } if id == "vmbridge-reader"));
    assert!(vmc.sddcs.selects("PROD-1") && !vmc.sddcs.selects("prod-lab") && !vmc.sddcs.selects("test"));
    assert_eq!(vmc.vcenter.credentials.as_ref().unwrap().password.setting(), "vmc.cloud.vcenter.password");
}

#[test]
fn the_reference_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let generated = reference_markdown();
    if written != generated {
        let fresh = std::env::temp_dir().join("configuration.md");
        std::fs::write(&fresh, generated).unwrap();
        panic!("docs/configuration.md is not what the code says; cp {} {}", fresh.display(), path.display());
    }
}

/// Every example in the reference is accepted by its own key, every default too.
#[test]
fn examples_and_defaults_in_the_reference_are_valid() {
    fn write(out: &mut String, section: &'static Section, path: &str) {
        let path = format!("{path}{}", section.name);
        let brackets = if section.shape == Shape::Many { ("[[", "]]") } else { ("[", "]") };
        out.push_str(&format!("{}{path}{}\n", brackets.0, brackets.1));
        for key in section.keys {
            // One way to log in excludes the other, and every entry needs its own name.
            let example = match (section.name, key.name()) {
                // A rule has one source of values.
                ("vmc", "refresh_token") | ("rule", "attribute" | "value") => continue,
                // A file of rules has to be there.
                ("checks", "files") => continue,
                ("vmc", "name") => "\"cloud\"",
                _ => key.example(),
            };
            out.push_str(&format!("{} = {example}\n", key.name()));
        }
        for inner in section.sections {
            write(out, inner, &format!("{path}."));
        }
    }
    let mut text = String::new();
    for inner in ROOT.sections {
        write(&mut text, inner, "");
    }
    accept(&text, &[]);
    accept(
        &format!(
            "{MINIMAL}\n[[vmc]]\nname = \"c\"\norg_id = \"x\"\nrefresh_token = {{ env = \"VMC_TOKEN\" }}\n"
        ),
        &[],
    );
}
