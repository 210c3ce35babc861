use super::*;

#[test]
fn the_environment_wins_over_the_file() {
    let text = format!("{MINIMAL}events = true\n\n[log]\nlevel = \"info\"\n");
    let config = accept(
        &text,
        &[
            ("VMBRIDGE_LOG__LEVEL", "debug"),
            ("VMBRIDGE_LOG__FORMAT", "json"),
            ("VMBRIDGE_LIMITS__PAGE_SIZE", "50"),
            ("VMBRIDGE_LIMITS__STALE_AFTER", "1h 30m"),
            ("vmbridge_vcenter__dc1__Events", "false"),
            ("VMBRIDGE_VCENTER__DC1__SCOPE", "name=a,power=on"),
            ("VMBRIDGE_VCENTER__DC1__CA_FILE", "ca.pem"),
            ("VMBRIDGE_VCENTER__DC1__PASSWORD__ENV", "OTHER"),
            (
                "VMBRIDGE_VCENTER__DC1__THUMBPRINTS",
                "4E:57:EA:50:F2:90:74:26:82:C3:51:9D:D5:8B:6B:FE:6D:5F:0A:66:5A:25:D0:DA:C0:58:4A:9E:1E:BC:04:31, 0057ea50f29074268 2c3519dd58b6bfe6d5f0a665a25d0dac0584a9e1ebc0431"
                    .replace("8 2", "82")
                    .as_str(),
            ),
        ],
    );
    assert_eq!(config.log, Log { level: "debug".to_owned(), format: LogFormat::Json });
    assert_eq!(config.limits.page_size, 50);
    assert_eq!(config.limits.stale_after, Duration::from_secs(5400));
    let vcenter = &config.vcenters[0];
    assert!(!vcenter.events);
    assert_eq!(vcenter.scope.to_string(), "name=a and power=on");
    assert_eq!(vcenter.ca_file.as_deref(), Some(Path::new("/etc/vmbridge/ca.pem")));
    // The kind of reference changes as a whole: `file` from the file does not stay beside it.
    assert_eq!(vcenter.password.source(), &SecretSource::Env("OTHER".to_owned()));
    assert_eq!(vcenter.thumbprints.len(), 2);
}

#[test]
fn parts_of_a_secret_from_the_environment_belong_together() {
    let config = accept(
        MINIMAL,
        &[
            ("VMBRIDGE_VCENTER__DC1__PASSWORD__SSM_PARAMETER", "/a"),
            ("VMBRIDGE_VCENTER__DC1__PASSWORD__REGION", "eu-west-1"),
            ("VMBRIDGE_VCENTER__DC1__PASSWORD__FIELD", "pw"),
        ],
    );
    assert_eq!(
        config.vcenters[0].password.source(),
        &SecretSource::SsmParameter {
            name: "/a".to_owned(),
            field: Some("pw".to_owned()),
            region: Some("eu-west-1".to_owned()),
            endpoint: None
        }
    );
}

#[test]
fn names_with_hyphens_are_found() {
    for name in ["dc-1", "a--b", "dc1-", "dc-1--url"] {
        let text = MINIMAL.replace("dc1", name);
        let variable = format!("VMBRIDGE_VCENTER__{}__USERNAME", name.replace('-', "_").to_uppercase());
        assert_eq!(accept(&text, &[(&variable, "jill")]).vcenters[0].username, "jill", "{variable}");
    }
}

#[test]
fn a_variable_that_fits_nothing_is_a_mistake() {
    for (variable, word) in [
        ("VMBRIDGE_LOG__LEVL", "VMBRIDGE_LOG__LEVEL"),
        ("VMBRIDGE_LOG_LEVEL", "VMBRIDGE_LOG__LEVEL"),
        ("VMBRIDGE_VCENTER__DC1__PASWORD__FILE", "VMBRIDGE_VCENTER__DC1__PASSWORD__FILE"),
        ("VMBRIDGE_VCENTER__DC2__URL", "`dc1`"),
        ("VMBRIDGE_VCENTER__URL", "`dc1`"),
        ("VMBRIDGE_VMC__X__URL", "no [[vmc]]"),
        ("VMBRIDGE_VCENTER__DC1__NAME", "VMBRIDGE_VCENTER__DC1__"),
        ("VMBRIDGE_ZZZZZZ", "docs/configuration.md"),
        ("VMBRIDGE_", "docs/configuration.md"),
    ] {
        let errors = refuse(MINIMAL, &[(variable, "hunter2")]);
        let [problem] = errors.problems() else { panic!("{errors}") };
        assert_eq!(problem.variable(), Some(variable));
        assert!(problem.help().unwrap().contains(word), "{variable}: {:?}", problem.help());
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
    }
}

#[test]
fn other_variables_with_the_prefix_are_left_alone() {
    let text = MINIMAL.replace("{ file = \"pw\" }", "{ env = \"VMBRIDGE_DC1_PASSWORD\" }");
    let variables: Vec<(&str, &str)> = [
        "VMBRIDGE_DC1_PASSWORD",
        "VMBRIDGE_CONFIG",
        "VMBRIDGE_SERVICE_HOST",
        "VMBRIDGE_SERVICE_PORT_METRICS",
        "VMBRIDGE_PORT",
        "VMBRIDGE_PORT_9464_TCP_ADDR",
        "PATH",
        "XVMBRIDGE_LOG__LEVEL",
    ]
    .map(|name| (name, "x"))
    .to_vec();
    accept(&text, &variables);
    assert_eq!(refuse(MINIMAL, &[("VMBRIDGE_DC1_PASSWORD", "x")]).problems().len(), 1);
}

#[test]
fn mistakes_in_values_name_the_variable() {
    for (variable, value) in [
        ("VMBRIDGE_LIMITS__PAGE_SIZE", "many"),
        ("VMBRIDGE_LIMITS__STALE_AFTER", "300"),
        ("VMBRIDGE_VCENTER__DC1__EVENTS", "yes"),
        ("VMBRIDGE_VCENTER__DC1__URL", "http://x"),
        ("VMBRIDGE_VCENTER__DC1__SCOPE", "nam=x"),
        ("VMBRIDGE_VCENTER__DC1__THUMBPRINTS", "x"),
        ("VMBRIDGE_VCENTER__DC1__PASSWORD", "hunter2"),
        ("VMBRIDGE_VCENTER__DC1__PASSWORD__ENV", "hunter-2"),
    ] {
        let errors = refuse(MINIMAL, &[(variable, value)]);
        let [problem] = errors.problems() else { panic!("{errors}") };
        assert_eq!(problem.variable(), Some(variable), "{errors}");
        assert!(!errors.to_string().contains("hunter"), "{errors}");
    }
}

#[test]
fn one_setting_is_set_once() {
    let errors = refuse(MINIMAL, &[("VMBRIDGE_LOG__LEVEL", "info"), ("vmbridge_log__level", "debug")]);
    assert!(errors.to_string().contains("VMBRIDGE_LOG__LEVEL sets the same setting"), "{errors}");
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_text_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let variables = [(OsString::from("VMBRIDGE_LOG__LEVEL"), OsString::from_vec(vec![0xff]))];
    let errors = parse(MINIMAL, Path::new("x.toml"), &variables.into_iter().collect()).unwrap_err();
    assert!(errors.to_string().contains("not UTF-8"), "{errors}");
}

#[test]
fn the_environment_is_not_shown() {
    let shown = format!("{:?}", environment(&[("A", "hunter2")]));
    assert!(!shown.contains("hunter2"), "{shown}");
}
