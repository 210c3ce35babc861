use proptest::prelude::*;

use super::*;

#[test]
fn files_that_are_no_configuration_are_refused_by_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let of = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        load(&path, &Environment::default()).unwrap_err().to_string()
    };
    assert!(of("latin1.toml", b"# ok\nname = \"M\xfcnchen\"").contains("not UTF-8 text (line 2)"));
    assert!(of("large.toml", &vec![b'#'; LARGEST + 1]).contains("larger than"));
    assert!(of("binary.toml", &[0, 1, 2, 27, b'[', b'2', b'J']).contains("not valid TOML"));
    let missing = load(&directory.path().join("none.toml"), &Environment::default()).unwrap_err().to_string();
    assert!(missing.contains("cannot be read") && missing.contains("none.toml"), "{missing}");
    let folder = load(directory.path(), &Environment::default()).unwrap_err().to_string();
    assert!(folder.contains("cannot be read"), "{folder}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    accept(&format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n")), &[]);
    let errors = refuse(&MINIMAL.replace("name", "nam").replace('\n', "\r\n"), &[]);
    assert!(!errors.to_string().contains('\r'));
}

#[test]
fn tables_nested_without_end_are_refused() {
    let dots = "a.".repeat(MOST_DOTS - 1);
    let mut text = format!("[{dots}a]\n{dots}a = ");
    text.push_str(&format!("{{{dots}a =\n").repeat(78));
    text.push('1');
    text.push_str(&"}".repeat(78));
    let _ = refuse(&text, &[]);
    let _ = refuse(&format!("{}a = 1", "a.".repeat(200_000)), &[]);
    let _ = refuse(&format!("a = {}", "[".repeat(200_000)), &[]);
    let _ = refuse(&"[a]\n".repeat(100_000), &[]);
    let _ = refuse(&"a = \n".repeat(100_000), &[]);
    let errors = refuse(&"[[vcenter]]\n".repeat(10_000), &[]);
    assert!(errors.to_string().contains("more\n"), "{errors}");
}

#[test]
fn the_place_is_counted_in_characters() {
    let errors =
        refuse(&format!("{MINIMAL}scope = {{ include = [{{ name = \"äöü語\", powr = \"on\" }}] }}\n"), &[]);
    let problem = &errors.problems()[0];
    assert_eq!(errors.place(problem), Some((6, 39)));
    let shown = errors.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    let at = |needle: &str| {
        lines.iter().find_map(|line| line.find(needle).map(|at| line[..at].chars().count())).unwrap()
    };
    assert_eq!(at("powr …"), at("^^^^"), "{shown}");
}

/// Places in which people write a secret although they should not, finished or not.
const TRAPS: &[&str] = &[
    "password = \"SECRET\"",
    "password = \"SECRET",
    "password = 'SECRET'",
    "password = '''SECRET",
    "password = \"\"\"\nSECRET\n\"\"\"",
    "password = \"\nSECRET\n\"",
    "password = SECRET",
    "password = \"SECRET\\q\"",
    "password = { file = \"SECRET\" \"x\" }",
    "password = { value = \"SECRET\" }",
    "password = { SECRET }",
    "password = [\"SECRET\", ]",
    "password =\n\"SECRET\"",
    "password: SECRET",
    "password \"SECRET\"",
    "pasword = \"SECRET\"",
    "password = { file = \"x\" } # SECRET",
    "# SECRET\nurll = \"x\"",
    "url = \"https://joe:SECRET@vc\" # x",
    "url = \"https://joe:SECRET@v c\"",
    "url = \"https://vc?SECRET\"",
    "[vcenter.password]\nvalue = \"SECRET\"",
    "vcenter = { password = \"SECRET\" }",
    "[SECRET",
    "x = { y = [ \"SECRET\", { z = 'SECRET' } ] }",
    "events = [\"SECRET\"]",
    "scope = { password = \"SECRET\" }",
    "username = \"\"\"\npassword = \"SECRET\"",
    "username = '''\npassword = 'SECRET'",
    "ca_file = \"\"\"x\npassword = SECRET",
    "thumbprints = [\n\"SECRET\"",
    "password = { file = '''\nSECRET",
    "SECRET",
    "\"SECRET\" =",
    "SECRET =",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_secret_in_the_file_is_never_shown(
        traps in prop::collection::vec(prop::sample::select(TRAPS.to_vec()), 1..4),
        before in any::<bool>(),
    ) {
        let traps = traps.join("\n").replace("SECRET", "hunter2");
        let text = if before { format!("{traps}\n{MINIMAL}") } else { format!("{MINIMAL}{traps}\n") };
        if let Err(errors) = parse(&text, Path::new("x.toml"), &Environment::default()) {
            let shown = format!("{errors}\n{errors:?}");
            prop_assert!(!shown.contains("hunter2"), "{}\n---\n{}", text, shown);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        if let Err(errors) = parse(&text, Path::new("x.toml"), &Environment::default()) {
            let _ = errors.to_string();
        }
    }

    #[test]
    fn anything_in_place_of_a_value_is_read_or_refused(
        line in 0..5usize,
        value in prop::sample::select(vec![
            "5", "-1", "1.5", "inf", "true", "2020-01-01", "07:32:00", "[]", "{}", "\"\"", "\"x\"", "[[1]]", "[{}]",
            "{ a = 1 }", "[\"x\", 1]", "{ include = 5 }", "{ include = [5] }", "{ file = [] }", "{ env = {} }",
        ]),
        key in prop::sample::select(vec![
            "name", "url", "username", "password", "ca_file", "thumbprints", "scope", "events", "log", "vmc", "http.listen",
            "limits", "limits.page_size", "vcenter",
        ]),
    ) {
        let mut lines: Vec<String> = MINIMAL.lines().map(str::to_owned).collect();
        lines.insert(line, format!("{key} = {value}"));
        if let Err(errors) = parse(&lines.join("\n"), Path::new("x.toml"), &Environment::default()) {
            prop_assert!(!errors.problems().is_empty());
            let _ = errors.to_string();
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let _ = load(file.path(), &Environment::default()).unwrap_err().to_string();
    }

    #[test]
    fn any_variable_is_an_override_or_refused(name in "(LOG|LIMITS|VCENTER|VMC|HTTP|_|__|DC1|LEVEL|URL|PASSWORD|FILE|x|é){0,6}", value in "\\PC{0,20}") {
        let variables = [(format!("VMBRIDGE_{name}"), value)];
        if let Err(errors) = parse(MINIMAL, Path::new("x.toml"), &variables.into_iter().collect()) {
            let _ = errors.to_string();
        }
    }
}
