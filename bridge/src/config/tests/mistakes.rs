use super::*;

#[test]
fn every_mistake_is_reported_at_once_and_no_secret_is_shown() {
    let errors = parse(
        include_str!("mistakes.toml"),
        Path::new("vmbridge.toml"),
        &environment(&[
            ("VMBRIDGE_VCENTER__DC1__PASSWORD", "hunter2"),
            ("VMBRIDGE_VCENTER__DC9__URL", "https://joe:hunter2@vc"),
            ("VMBRIDGE_LOG__LEVL", "hunter2"),
            ("vmbridge_log__level", "loud"),
        ]),
    )
    .unwrap_err();
    let shown = errors.to_string();
    assert!(!shown.contains("hunter"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn each_mistake_has_its_place_and_its_remedy() {
    let cases: &[(&str, &str, (usize, usize), &str)] = &[
        // What is added to the minimal configuration; the setting; where; a word of the message or the help.
        ("ca_fil = \"x\"", "vcenter.dc1", (6, 1), "`ca_file`"),
        ("ca_file = 5", "vcenter.dc1.ca_file", (6, 11), "a string"),
        ("ca_file = \"~/x\"", "vcenter.dc1.ca_file", (6, 11), "whole path"),
        ("ca_file = \"${CREDENTIALS_DIRECTORY}/x\"", "vcenter.dc1.ca_file", (6, 11), "LoadCredential"),
        ("events = 1", "vcenter.dc1.events", (6, 10), "true"),
        ("thumbprints = \"zz\"", "vcenter.dc1.thumbprints", (6, 15), "a list"),
        (
            "scope = { include = [{ power = [] }] }",
            "vcenter.dc1.scope.include[1].power",
            (6, 32),
            "empty list",
        ),
        (
            "scope = { include = [{ power = 1 }] }",
            "vcenter.dc1.scope.include[1].power",
            (6, 32),
            "power = \"on\"",
        ),
        (
            "scope = { exclude = [\"name=a or name=b\"] }",
            "vcenter.dc1.scope.exclude[1]",
            (6, 22),
            "one clause",
        ),
        ("[log]\nformat = \"jsn\"", "log.format", (7, 10), "did you mean `json`"),
        ("[log]\nlevel = \"info,vsphere_client=debg\"", "log.level", (7, 9), "did you mean `debug`"),
        ("[http]\nlisten = \"localhost:80\"", "http.listen", (7, 10), "numeric"),
        ("[limits]\nstale_after = \"1s\"", "limits.stale_after", (7, 15), "from 30 s to 24 h"),
        ("[[log]]\nlevel = \"info\"", "log", (6, 1), "[log]"),
        ("[limit]", "", (6, 2), "did you mean `limits`"),
    ];
    for (added, setting, place, word) in cases {
        let (problem, found) = only_mistake(&format!("{MINIMAL}{added}\n"));
        assert_eq!(problem.setting(), *setting, "{added}: {}", problem.message());
        assert_eq!(found, Some(*place), "{added}: {}", problem.message());
        let text = format!("{} {}", problem.message(), problem.help().unwrap_or_default());
        assert!(text.contains(word), "{added}: {text}");
    }
}

#[test]
fn an_empty_configuration_says_what_to_add() {
    let (problem, _) = only_mistake("");
    assert!(problem.help().unwrap().contains("[[vcenter]]"));
    // A misspelt section is the mistake, not that nothing is configured.
    let (problem, place) = only_mistake("[[vcentre]]\n");
    assert!(problem.help().unwrap().contains("did you mean `vcenter`"));
    assert_eq!(place, Some((1, 3)));
}

#[test]
fn addresses_that_would_betray_the_password_are_refused() {
    for url in [
        "https://joe:hunter2@vc",
        "https://joe@vc",
        "https://@vc",
        "https://:hunter2@vc",
        "https:\\\\\\\\joe:hunter2@vc",
        "http://vc",
        "ftp://vc",
        "vc.example.com",
        "https://",
        "https://vc/mob",
        "https://vc?token=hunter2",
        "https://vc#hunter2",
        "https://joe:hunter2@v c",
        "",
    ] {
        let text = MINIMAL.replace("https://vc.example.com/sdk", url);
        let (problem, place) = only_mistake(&text);
        assert_eq!((problem.setting(), place), ("vcenter.dc1.url", Some((3, 7))), "{url}");
        assert!(!refuse(&text, &[]).to_string().contains("hunter2"), "{url}");
    }
}

#[test]
fn a_secret_is_a_reference_of_exactly_one_kind() {
    for (written, word) in [
        ("\"hunter2\"", "{ file ="),
        ("'''hunter2'''", "{ file ="),
        ("12345678", "{ file ="),
        ("[\"hunter2\"]", "{ file ="),
        ("true", "{ file ="),
        ("{}", "does not say where"),
        ("{ file = \"a\", env = \"B\" }", "only one"),
        ("{ file = \"hunter2\", region = \"eu-central-1\" }", "goes with `ssm_parameter`"),
        ("{ env = \"A\", field = \"hunter2\" }", "goes with `ssm_parameter`"),
        ("{ ssm_parameter = \"/a\", field = \"\" }", "not be empty"),
        ("{ ssm_parameter = \"/rds!hunter2\" }", "secretsmanager"),
        ("{ file = 5 }", "a string"),
        ("{ file = \"\" }", "not be empty"),
        ("{ env = \"hunter-2\" }", "name of an environment variable"),
        ("{ env = \"1hunter2\" }", "name of an environment variable"),
        ("{ ssm_parameter = \"hunter 2\" }", "secretsmanager"),
        ("{ ssm_parameter = \"/a\", region = \"Frankfurt\" }", "eu-central-1"),
        ("{ ssm_parameter = \"/a\", endpoint = \"http://hunter2\" }", "only https"),
    ] {
        let text = MINIMAL.replace("{ file = \"pw\" }", written);
        let (problem, place) = only_mistake(&text);
        assert_eq!(place.unwrap().0, 5);
        let said = format!("{} {}", problem.message(), problem.help().unwrap_or_default());
        assert!(said.contains(word), "{written}: {said}");
        let shown = refuse(&text, &[]).to_string();
        assert!(
            !shown.contains("hunter") && !shown.contains("12345678") || written.contains("endpoint"),
            "{shown}"
        );
    }
    for written in ["{ value = \"hunter2\" }", "{ file = \"a\", literal = \"hunter2\" }"] {
        let errors = refuse(&MINIMAL.replace("{ file = \"pw\" }", written), &[]);
        assert!(
            errors.to_string().contains("unknown key") && !errors.to_string().contains("hunter2"),
            "{errors}"
        );
    }
}

#[test]
fn names_are_unique_across_both_kinds() {
    let vmc = "[[vmc]]\nname = \"dc1\"\norg_id = \"x\"\nrefresh_token = { env = \"T\" }\n";
    let (problem, place) = only_mistake(&format!("{MINIMAL}{vmc}"));
    assert_eq!(place, Some((7, 8)));
    assert!(problem.message().contains("line 1"), "{}", problem.message());
    let long = "a".repeat(64);
    for name in ["", "-a", "A", "a_b", "ä", "a b", long.as_str()] {
        let (problem, _) = only_mistake(&MINIMAL.replace("\"dc1\"", &format!("\"{name}\"")));
        assert_eq!(problem.setting(), "vcenter[1].name");
    }
}

#[test]
fn the_two_ways_into_vmc_exclude_each_other() {
    for (written, word) in [
        ("", "no way"),
        ("refresh_token = { env = \"A\" }\noauth_app_id = \"x\"", "two ways"),
        ("oauth_app_id = \"x\"", "`oauth_app_secret` is missing"),
        ("oauth_app_secret = { env = \"A\" }", "`oauth_app_id` is missing"),
        (
            "refresh_token = { env = \"A\" }\n[vmc.vcenter]\npassword = { env = \"A\" }",
            "`username` is missing",
        ),
        ("refresh_token = { env = \"A\" }\nvcenter = 5", "expected a table"),
    ] {
        let (problem, _) = only_mistake(&format!("[[vmc]]\nname = \"c\"\norg_id = \"x\"\n{written}\n"));
        assert!(problem.message().contains(word), "{written}: {}", problem.message());
    }
}

#[test]
fn a_mistake_of_syntax_does_not_hide_the_others_or_invent_new_ones() {
    let text =
        "[[vcenter]]\nname = \"dc1\"\nurl = https://vc\nusernam = \"joe\"\n\n[limits]\npage_size = 1\n";
    let errors = refuse(text, &[]);
    let lines: Vec<usize> =
        errors.problems().iter().filter_map(|problem| errors.place(problem)).map(|(line, _)| line).collect();
    assert!(lines.contains(&3) && lines.contains(&4) && lines.contains(&7), "{errors}");
    assert!(!errors.to_string().contains("is missing"), "{errors}");
}

#[test]
fn a_table_from_the_file_that_is_none_is_reported() {
    for (text, word) in [
        ("vcenter = 5", "a list of tables"),
        ("vcenter = [5]", "a table"),
        ("[vcenter]\nname = \"dc1\"", "a list of tables"),
        ("vcenter = []", "nothing"),
    ] {
        let errors = refuse(text, &[]);
        assert!(errors.to_string().contains(word), "{text}: {errors}");
    }
}
