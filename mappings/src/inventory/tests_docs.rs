//! `docs/ssm-inventory.md` says what the code does.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn table(columns: impl Iterator<Item = ColumnDoc>) -> String {
    let mut out = "| Rows | Column | |\n|---|---|---|\n".to_owned();
    for ColumnDoc { row_type, name, meaning } in columns {
        let rows = if row_type.is_empty() { "all".to_owned() } else { format!("`{row_type}`") };
        out.push_str(&format!("| {rows} | `{name}` | {meaning} |\n"));
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
    let mut fresh = replaced(&page, VM_TYPE, &table(vm_columns()));
    fresh = replaced(&fresh, HOST_TYPE, &table(host_columns()));
    if page != fresh {
        let place = std::env::temp_dir().join("ssm-inventory.md");
        std::fs::write(&place, fresh).unwrap();
        panic!("docs/ssm-inventory.md is not what the code says; cp {} {}", place.display(), path.display());
    }
}

/// A query that names a column that there is not is found here, and not by who runs it.
#[test]
fn queries_name_columns_that_there_are() {
    let columns: BTreeSet<String> =
        vm_columns().chain(host_columns()).map(|column| column.name.to_ascii_lowercase()).collect();
    let pages =
        [include_str!("../../../docs/ssm-inventory.md"), include_str!("../../../docs/ssm-compliance.md")];
    let queries: Vec<&str> = pages
        .iter()
        .flat_map(|page| page.split("```sql\n").skip(1))
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(queries.len() >= 8);
    for query in queries {
        let mut named = 0;
        for word in
            query.split(|character: char| !(character.is_ascii_alphanumeric() || "._".contains(character)))
        {
            let column = word.strip_prefix("vm.").unwrap_or(word);
            if columns.contains(column) {
                named += 1;
            }
            assert!(!word.starts_with("vm.") || columns.contains(column) || column == "resourceid", "{word}");
        }
        assert!(named > 0, "{query}");
    }
}
