//! Names in AWS.

use super::super::reader::Cell;
use super::super::schema::Kind;

fn matching(
    cell: &Cell<'_>,
    example: &str,
    fits: impl Fn(&str) -> bool,
    what: &str,
    allowed: &str,
) -> Option<String> {
    let text = cell.text(&format!("\"{example}\""))?;
    cell.allow();
    if fits(text) {
        return Some(text.to_owned());
    }
    cell.wrong(format!("not {what}"), format!("allowed: {allowed}"))
}

/// A Region.
pub(in super::super) struct Region;

impl Kind for Region {
    type Value = String;

    fn read(&self, cell: &Cell<'_>) -> Option<String> {
        let fits = |text: &str| {
            text.len() <= 63
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && text.split('-').count() >= 3
                && text.split('-').all(|part| !part.is_empty())
        };
        matching(cell, "eu-central-1", fits, "a Region", &self.allowed())
    }

    fn allowed(&self) -> String {
        "a Region's code, such as `eu-central-1`".to_owned()
    }
}

/// An account's number.
pub(in super::super) struct Account;

impl Kind for Account {
    type Value = String;

    fn read(&self, cell: &Cell<'_>) -> Option<String> {
        let fits = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        matching(cell, "111122223333", fits, "the number of an account", &self.allowed())
    }

    fn allowed(&self) -> String {
        "twelve digits, in quotes".to_owned()
    }
}

/// A role's ARN.
pub(in super::super) struct RoleArn;

impl Kind for RoleArn {
    type Value = String;

    fn read(&self, cell: &Cell<'_>) -> Option<String> {
        let fits = |text: &str| {
            let parts: Vec<&str> = text.splitn(6, ':').collect();
            matches!(parts[..], ["arn", _, "iam", "", account, role]
                if account.len() == 12 && role.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
        };
        matching(cell, "arn:aws:iam::111122223333:role/vmbridge", fits, "the ARN of a role", &self.allowed())
    }

    fn allowed(&self) -> String {
        "`arn:aws:iam::<account>:role/<name>`".to_owned()
    }
}
