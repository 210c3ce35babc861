//! `docs/ssm-inventory.md` says what the code does.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn table(type_name: &str) -> String {
    let mut out = "| Column | |\n|---|---|\n".to_owned();
    for ColumnDoc { name, meaning, .. } in columns().filter(|column| column.type_name == type_name) {
        out.push_str(&format!("| `{name}` | {meaning} |\n"));
    }
    out
}

fn replaced(page: &str, type_name: &str, table: &str) -> String {
    let begin = format!("<!-- columns of {type_name} -->\n");
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{begin}{table}<!-- end -->{after}")
}

#[test]
fn the_page_lists_every_column() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ssm-inventory.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let fresh =
        TYPES.iter().fold(page.clone(), |page, type_name| replaced(&page, type_name, &table(type_name)));
    if page != fresh {
        let place = std::env::temp_dir().join("ssm-inventory.md");
        std::fs::write(&place, fresh).unwrap();
        panic!("docs/ssm-inventory.md is not what the code says; cp {} {}", place.display(), path.display());
    }
}

/// A query that names a table or a column that there is not is found here, and not by who runs it.
#[test]
fn queries_name_tables_and_columns_that_there_are() {
    let pages =
        [include_str!("../../../docs/ssm-inventory.md"), include_str!("../../../docs/ssm-compliance.md")];
    let queries: Vec<&str> = pages
        .iter()
        .flat_map(|page| page.split("```sql\n").skip(1))
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(queries.len() >= 8);
    let every: BTreeSet<String> = columns().map(|column| column.name.to_ascii_lowercase()).collect();
    let mut asked = BTreeSet::new();
    for query in queries {
        let words: Vec<&str> = query
            .split(|character: char| !(character.is_ascii_alphanumeric() || "._".contains(character)))
            .collect();
        let tables: Vec<&str> = words.iter().copied().filter(|word| word.starts_with("custom_")).collect();
        let here: BTreeSet<String> = columns()
            .filter(|column| tables.contains(&&*table_of(column.type_name)))
            .map(|column| column.name.to_ascii_lowercase())
            .collect();
        for table in &tables {
            assert!(TYPES.iter().any(|type_name| table_of(type_name) == *table), "{table}");
        }
        let mut named = 0;
        for word in words {
            let column = word.strip_prefix("vm.").unwrap_or(word);
            if here.contains(column) {
                named += 1;
            }
            assert!(
                here.contains(column) || !every.contains(column),
                "{column} is of another table: {query}"
            );
            assert!(!word.starts_with("vm.") || here.contains(column) || column == "resourceid", "{word}");
            assert_ne!(column, "rowtype", "there is one type for each kind of row");
        }
        assert!(named > 0 || tables.is_empty() || query.contains("resourceid"), "{query}");
        asked.extend(tables);
    }
    assert!(asked.len() >= 4, "{asked:?}");
}

/// What a crawler calls the table of a type.
fn table_of(type_name: &str) -> String {
    type_name.to_ascii_lowercase().replace(':', "_")
}
