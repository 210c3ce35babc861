//! `docs/checks.md` is what the rules say.

use std::path::Path;

use mappings::checks::{catalogue, defaults};

#[test]
fn the_catalogue_is_what_the_rules_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checks.md");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let generated = catalogue(&defaults().unwrap());
    if written != generated {
        let fresh = std::env::temp_dir().join("checks.md");
        std::fs::write(&fresh, generated).unwrap();
        panic!("docs/checks.md is not what the rules say; cp {} {}", fresh.display(), path.display());
    }
}
