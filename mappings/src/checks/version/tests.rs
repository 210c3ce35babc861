use super::*;

fn version(text: &str) -> ApiVersion {
    ApiVersion::parse(text).unwrap()
}

#[test]
fn versions_are_read_compared_and_written() {
    assert!(version("8.0.3.0") == version("8.0.3") && version("8.0.10") > version("8.0.9"));
    for (text, wanted) in [("8", "8.0"), ("8.0.0.0", "8.0"), ("7.0.3", "7.0.3"), ("8.0.0.1", "8.0.0.1")] {
        assert_eq!(version(text).to_string(), wanted);
    }
    for text in ["", "8.", ".8", "8..0", "8.0.0.0.0", "+8", "-8", "8.x", "u8", "70000", "8 .0"] {
        assert!(ApiVersion::parse(text).is_none(), "{text}");
    }
}

#[test]
fn a_range_begins_with_and_ends_before() {
    let range: Versions = ">=7.0, <8.0".parse().unwrap();
    for (text, within) in [("6.7", false), ("7.0", true), ("7.9.9.9", true), ("8.0", false)] {
        assert_eq!(range.contains(version(text)), within, "{text}");
    }
    assert_eq!(range.to_string(), ">=7.0, <8.0");
    for text in ["", "7.0", ">7", "<=8", ">=7,", ">=7, >=8", ">=8, <7", ">=8, <8", ">= x"] {
        let error = text.parse::<Versions>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{text}` is not a range")), "{error}");
    }
    assert!("<8.0".parse::<Versions>().unwrap().to_string().parse::<Versions>().is_ok());
}
