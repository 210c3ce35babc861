use proptest::prelude::*;

use super::*;

/// A product as vCenter tells it: its version and its build.
#[derive(Clone, Copy)]
enum Told<'a> {
    Product(&'a [(&'a str, &'a str)]),
    Text(&'a str),
}

impl Tree for Told<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Product(_) => None,
            Self::Text(text) => Some(text),
        }
    }

    fn type_name(&self) -> Option<&str> {
        None
    }

    fn children(&self, each: &mut dyn FnMut(&str, Self)) {
        if let Self::Product(fields) = self {
            fields.iter().for_each(|(name, value)| each(name, Self::Text(value)));
        }
    }
}

fn of(version: &str, build: &str) -> Reading {
    released(Told::Product(&[("name", "VMware ESXi"), ("version", version), ("build", build)]))
}

fn day(text: &str) -> Reading {
    Reading::One(format!("{text}T00:00:00Z").into())
}

#[test]
fn a_build_is_as_old_as_the_table_says_or_as_the_next_later_one_of_its_version() {
    for (version, build, wanted) in [
        ("8.0.3", "24784735", day("2025-07-15")),
        ("8.0.3", " 24784735 ", day("2025-07-15")),
        // Between two: it was out before the later one.
        ("8.0.3", "24784736", day("2025-07-29")),
        ("8.0.3", "24784734", day("2025-07-15")),
        ("8.0.3", "1", day("2024-06-25")),
        // Only builds of the same version bound it.
        ("8.0.2", "24585301", day("2025-07-15")),
        ("7.0.3", "21422485", day("2023-03-30")),
        ("9.0.0", "24755229", day("2025-06-17")),
        ("9.0.0.0100", "24755229", day("2025-06-17")),
    ] {
        assert_eq!(of(version, build), wanted, "{version} {build}");
    }
}

/// Whoever is not in the table may be new.
#[test]
fn what_the_table_does_not_bound_has_no_age() {
    for (version, build) in [
        ("8.0.3", "99999999"),
        ("8.0.2", "24789318"),
        ("8.0.9", "24784735"),
        ("6.7.0", "1"),
        ("8.0.3", ""),
        ("8.0.3", "new"),
        ("8.0.3", "-1"),
        ("8.0.3", "99999999999999999999999"),
        ("8.x", "24784735"),
        ("", "24784735"),
    ] {
        assert_eq!(of(version, build), Reading::Missing, "{version} {build}");
    }
    assert_eq!(released(Told::Product(&[("version", "8.0.3")])), Reading::Missing);
    assert_eq!(released(Told::Product(&[])), Reading::Missing);
    assert_eq!(released(Told::Text("VMware ESXi 8.0.3 build-24784735")), Reading::Missing);
}

#[test]
fn the_table_is_in_order() {
    let table = table().unwrap();
    assert!(table.values().map(BTreeMap::len).sum::<usize>() > 50);
    for (version, builds) in table {
        assert_eq!(version.release(), *version, "a version has three numbers");
        assert!(builds.keys().all(|build| (10_000_000..100_000_000).contains(build)), "{version}");
    }
    for wrong in [
        "[\"8.0.3\"]\n2 = 2025-01-01\n10 = 2024-01-01\n",
        "[\"8.0.x\"]\n2 = 2025-01-01\n",
        "[\"8.0.3\"]\nU3b = 2025-01-01\n",
        "[\"8.0.3\"]\n2 = 2025-01-01T00:00:00Z\n",
        "[\"8.0.3\"]\n2 = \"2025-01-01\"\n",
        "builds",
    ] {
        assert!(!read(wrong).unwrap_err().is_empty(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_product_has_an_age_or_none(version in "\\PC{0,12}", build in "\\PC{0,24}", number: u64) {
        for (version, build) in [(version.as_str(), build), ("8.0.3", number.to_string())] {
            let reading = of(version, &build);
            prop_assert!(matches!(reading, Reading::One(_) | Reading::Missing));
        }
    }

    /// A later build is never older.
    #[test]
    fn age_follows_the_numbers(one in 20_000_000_u64..26_000_000, two in 20_000_000_u64..26_000_000) {
        let table = table().unwrap();
        for version in table.keys() {
            let age = |build| out_at_the_latest(table, *version, build);
            if let (Some(earlier), Some(later)) = (age(one.min(two)), age(one.max(two))) {
                prop_assert!(earlier <= later);
            }
        }
    }
}
