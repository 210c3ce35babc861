//! References to secrets. The secrets themselves are never in the configuration.

use super::super::node::{Node, Origin, Table, Value};
use super::super::reader::Cell;
use super::super::schema::Kind;
use super::super::words;
use super::path;
use crate::secret::{SECRETS_MANAGER, SecretRef, SecretSource};

const FORMS: &str =
    "write one of: { file = \"/path/to/secret\" }, { env = \"VARIABLE\" }, { ssm_parameter = \"/name\" }";
const SOURCES: &[&str] = &["file", "env", "ssm_parameter"];
const PARTS: &[&str] = &["file", "env", "ssm_parameter", "field", "region", "endpoint"];

/// A reference to a secret.
pub(in super::super) struct Secret;

impl Kind for Secret {
    type Value = SecretRef;

    fn read(&self, cell: &Cell<'_>) -> Option<SecretRef> {
        match &cell.node.value {
            Value::Table(table) => {
                cell.refuse_unknown(table, PARTS);
                source(cell, table).map(|source| SecretRef::new(cell.setting.clone(), source))
            }
            _ => literal(cell),
        }
    }

    fn allowed(&self) -> String {
        "a reference: `{ file = … }`, `{ env = … }` or `{ ssm_parameter = … }`, the last also with `field`, `region`, `endpoint`".to_owned()
    }

    fn parts(&self) -> &'static [&'static str] {
        PARTS
    }

    fn parts_replace(&self) -> bool {
        true
    }
}

/// Refuses a secret that was written down, without repeating it.
fn literal<T>(cell: &Cell<'_>) -> Option<T> {
    match &cell.node.origin {
        Origin::Variable(name) => cell.wrong(
            "a secret itself is not accepted here: the environment of a process is read by too many tools",
            format!(
                "set {name}__FILE, {name}__ENV or {name}__SSM_PARAMETER instead, to say where the secret is"
            ),
        ),
        Origin::File(_) => cell.wrong(
            "a secret itself is not accepted here: it would end up in every copy and backup of this file",
            FORMS,
        ),
    }
}

fn source(cell: &Cell<'_>, table: &Table) -> Option<SecretSource> {
    let given: Vec<&str> = SOURCES.iter().copied().filter(|name| table.get(name).is_some()).collect();
    let part =
        |name: &str| table.get(name).map(|entry| (cell.inner(&entry.node, &format!(".{name}")), &entry.node));
    let [only] = given[..] else {
        return if given.is_empty() {
            cell.wrong("the reference does not say where the secret is", FORMS)
        } else {
            cell.wrong(format!("only one of {} can be the source", words::listed(&given)), FORMS)
        };
    };
    if only != "ssm_parameter" {
        for name in ["field", "region", "endpoint"] {
            if let Some((inner, _)) = part(name) {
                return inner.wrong(format!("`{name}` goes with `ssm_parameter`, not with `{only}`"), "");
            }
        }
    }
    let (inner, node) = part(only)?;
    let text = text(&inner, node)?;
    match only {
        "file" => path::resolve(&inner, text).map(SecretSource::File),
        "env" => {
            if !is_variable(text) {
                return inner.wrong(
                    "not the name of an environment variable",
                    "allowed: letters, digits and `_`, not beginning with a digit",
                );
            }
            inner.context.secret_variables.borrow_mut().push(text.to_owned());
            Some(SecretSource::Env(text.to_owned()))
        }
        _ => {
            if !is_parameter(text) {
                return inner.wrong(
                    "not the name of an SSM parameter",
                    "allowed: letters, digits and `_.-/:`; a secret of Secrets Manager is written \"/aws/reference/secretsmanager/<name>\"",
                );
            }
            let region = match part("region") {
                Some((inner, node)) => Some(region(&inner, node)?),
                None => None,
            };
            let field = match part("field") {
                Some((inner, node)) => Some(self::text(&inner, node)?.to_owned()),
                None => None,
            };
            let endpoint = match part("endpoint") {
                Some((inner, _)) => Some(super::network::https(
                    &inner,
                    "\"https://vpce-….ssm.eu-central-1.vpce.amazonaws.com\"",
                )?),
                None => None,
            };
            Some(SecretSource::SsmParameter { name: text.to_owned(), field, region, endpoint })
        }
    }
}

fn text<'n>(cell: &Cell<'_>, node: &'n Node) -> Option<&'n str> {
    match &node.value {
        Value::String(text) | Value::Text(text) if !text.is_empty() => Some(text),
        Value::String(_) | Value::Text(_) => cell.wrong("must not be empty", ""),
        _ => cell.wrong_type("a string", "\"…\""),
    }
}

fn region(cell: &Cell<'_>, node: &Node) -> Option<String> {
    let text = text(cell, node)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.contains('-') && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    cell.wrong("not the name of an AWS Region", "for example: \"eu-central-1\"")
}

fn is_variable(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(word)
}

/// Names of parameters, with what else names of secrets in Secrets Manager may hold.
fn is_parameter(name: &str) -> bool {
    let other: &[u8] = if name.starts_with(SECRETS_MANAGER) { b"_.-/:+=@!" } else { b"_.-/:" };
    name.len() <= 2048 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || other.contains(&byte))
}
