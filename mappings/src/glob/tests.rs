use proptest::prelude::*;

use super::*;

fn name(pattern: &str) -> NamePattern {
    NamePattern::new(pattern).unwrap()
}

fn path(pattern: &str) -> PathPattern {
    PathPattern::new(pattern).unwrap()
}

#[test]
fn names_match_without_regard_to_case_in_every_alphabet() {
    for (pattern, text) in [
        ("web01", "WEB01"),
        ("größe-*", "GRÖßE-01"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("дб?", "ДБ7"),
        ("[а-я]*", "Я1"),
        ("?", "語"),
        ("*.corp.example", "a.b.CORP.example"),
        ("a*b*c", "a--b-c-b--c"),
        ("[!0-9]*", "x9"),
        ("a[-x]", "a-"),
        (r"a\*\[1\]", "a*[1]"),
        ("/%2f", "/%2F"),
        ("*/*", "a/b"),
    ] {
        assert!(name(pattern).matches(text), "{pattern} should match {text}");
    }
    for (pattern, text) in [
        ("web", "web1"),
        ("?", "ab"),
        ("?", ""),
        ("a*b*c", "a--c--b"),
        ("[!0-9]*", "9x"),
        (r"\*", "x"),
        ("ab*", "a"),
    ] {
        assert!(!name(pattern).matches(text), "{pattern} should not match {text}");
    }
}

#[test]
fn a_single_star_stays_within_a_folder_and_a_double_star_does_not() {
    for (pattern, text) in [
        ("/", "/"),
        ("/**", "/"),
        ("/**", "/a/b"),
        ("**", "/"),
        ("/Prod", "/prod"),
        ("/Prod/**", "/Prod"),
        ("/Prod/**", "/Prod/a/b"),
        ("/Prod/*", "/Prod/a"),
        ("**/db", "/db"),
        ("**/db", "/x/y/db"),
        ("/a/**/c/**/e", "/a/c/x/c/y/e"),
        ("/a/**/**/c", "/a/c"),
        ("/*/web*", "/x/web-1"),
        ("**/a/b", "/a/a/b"),
    ] {
        assert!(path(pattern).matches(text), "{pattern} should match {text}");
    }
    for (pattern, text) in [
        ("/", "/a"),
        ("/Prod/*", "/Prod"),
        ("/Prod/*", "/Prod/a/b"),
        ("/Prod/**", "/Production"),
        ("**/db", "/db/x"),
        ("/a/**/c", "/a/b"),
        ("/*", "/a/b"),
    ] {
        assert!(!path(pattern).matches(text), "{pattern} should not match {text}");
    }
}

#[test]
fn mistakes_say_where_they_are_and_what_to_write() {
    let of = |pattern: &str| NamePattern::new(pattern).unwrap_err();
    assert_eq!(of("ab[c").offset, 2);
    assert!(of("ab[c").message.contains(r"\["));
    assert_eq!(of("ü\\").offset, 2);
    assert_eq!(of("x[]").offset, 1);
    assert!(of("[z-a]").message.contains("wrong way round"));
    assert!(of("").message.contains("`*`"));
    assert!(of(&"x".repeat(MAX_PATTERN_CHARS + 1)).message.contains("1024"));
    let of = |pattern: &str| PathPattern::new(pattern).unwrap_err();
    assert!(of("Prod/x").message.contains("`/Prod/x`"));
    assert_eq!(of("/a//b").offset, 3);
    assert_eq!(of("/a/").offset, 3);
    assert_eq!(of("/a/b**").offset, 4);
    assert_eq!(of("/a/[b").offset, 3);
}

#[test]
fn a_hostile_pattern_takes_bounded_time() {
    let pattern = name(&"a*".repeat(400));
    assert!(!pattern.matches(&format!("{}b{}", "c".repeat(20_000), "a".repeat(399))));
    let pattern = path(&format!("{}/z", "/**/a".repeat(150)));
    assert!(!pattern.matches(&"/a".repeat(5_000)));
}

/// The obvious matcher, slow and easily seen to be right: what the fast one is compared with.
fn obviously(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|taken| obviously(rest, &text[taken..])),
        Some(('?', rest)) => text.split_first().is_some_and(|(_, text)| obviously(rest, text)),
        Some((c, rest)) => {
            text.split_first().is_some_and(|(first, text)| fold(*first) == fold(*c) && obviously(rest, text))
        }
    }
}

fn obviously_path(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|taken| obviously_path(rest, &path[taken..])),
        Some((wanted, rest)) => path.split_first().is_some_and(|(first, path)| {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            obviously(&chars(wanted), &chars(first)) && obviously_path(rest, path)
        }),
    }
}

proptest! {
    #[test]
    fn agrees_with_the_obvious_matcher(pattern in "[abA?*é]{1,8}", text in "[abBÉ]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(name(&pattern).matches(&text), obviously(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn paths_agree_with_the_obvious_matcher(
        pattern in prop::collection::vec(prop::sample::select(vec!["**", "a", "b", "a*", "*", "?b"]), 0..6),
        path_parts in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "ba"]), 0..7),
    ) {
        let compiled = path(&format!("/{}", pattern.join("/")));
        let text = format!("/{}", path_parts.join("/"));
        prop_assert_eq!(compiled.matches(&text), obviously_path(&pattern, &path_parts));
    }

    #[test]
    fn an_escaped_name_matches_itself_and_nothing_longer(text in "\\PC{1,40}") {
        let literal = NamePattern::literal(&text).unwrap();
        prop_assert!(literal.matches(&text));
        let longer = format!("{text}x");
        prop_assert!(!literal.matches(&longer));
    }

    #[test]
    fn folding_is_idempotent_and_unites_cases(c in any::<char>()) {
        prop_assert_eq!(fold(fold(c)), fold(c));
        if let Some(upper) = single(c.to_uppercase()) {
            prop_assert_eq!(fold(upper), fold(c));
        }
    }

    #[test]
    fn any_text_is_compiled_or_refused_within_its_bounds(source in ".{0,60}", text in ".{0,60}") {
        match NamePattern::new(&source) {
            Ok(pattern) => { let _ = pattern.matches(&text); }
            Err(error) => prop_assert!(error.offset <= source.len() && source.is_char_boundary(error.offset)),
        }
        match PathPattern::new(&source) {
            Ok(pattern) => { let _ = pattern.matches(&text); }
            Err(error) => prop_assert!(error.offset <= source.len() && source.is_char_boundary(error.offset)),
        }
    }
}
