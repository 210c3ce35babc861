//! Pages of long lists: only what is on the page is made, so that many nodes cost little.

use serde_json::{Value, json};

use super::error::Error;
use super::service::Call;

/// So many items are on a page when nobody says.
pub(super) const USUAL: usize = 50;

/// The page that is asked for. `keys` gives keys in order, and may leave out those before the one that it is told of; `make` tells
/// the item of a key, or that it is not wanted.
pub(super) fn page<Keys: Iterator<Item = String>>(
    call: &Call<'_>,
    member: &str,
    keys: impl FnOnce(Option<&str>) -> Keys,
    mut make: impl FnMut(&str) -> Option<Value>,
) -> Result<Value, Error> {
    let most = call.number("MaxResults").unwrap_or(USUAL);
    let query = call.query(&["NextToken", "MaxResults"]);
    let after = match call.text("NextToken").filter(|token| !token.is_empty()) {
        Some(token) => {
            let taken = call.shared.tokens.take(&query, token);
            Some(taken.ok_or_else(|| Error::bad("InvalidNextToken", "The specified token is not valid."))?)
        }
        None => None,
    };
    let (mut list, mut last) = (Vec::new(), String::new());
    for key in keys(after.as_deref()).skip_while(|key| after.as_ref().is_some_and(|after| key <= after)) {
        let Some(item) = make(&key) else { continue };
        if list.len() == most {
            let token = call.shared.tokens.give(&query, &last);
            return Ok(json!({ member: list, "NextToken": token }));
        }
        list.push(item);
        last = key;
    }
    Ok(json!({ member: list }))
}
