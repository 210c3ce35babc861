//! What the book shows is accepted.

use mappings::checks::{RuleSet, Sources, parse};

#[test]
fn the_examples_of_the_book_are_rules() {
    let book = include_str!("../../../docs/custom-rules.md");
    let blocks = book.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut files = Vec::new();
    for block in blocks.filter(|block| block.starts_with("[[")) {
        match parse("custom-rules.md", block) {
            Ok(file) => files.push(file),
            Err(mistakes) => panic!("{mistakes:#?}\n{block}"),
        }
    }
    assert_eq!(files.len(), 4);
    let sources = Sources { files, ..Sources::default() };
    let rules = RuleSet::new(sources).unwrap();
    assert!(rules.all().any(|rule| rule.id.as_str() == "acme-vm-vtpm"));
    assert_eq!(rules.suppressions().len(), 1);
}
