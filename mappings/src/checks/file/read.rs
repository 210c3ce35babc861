//! `read = { path = "config.extraConfig", key = "isolation.tools.copy.disable" }`

use super::table::{Told, View};
use crate::checks::read::{FieldPath, Pick, Read, Take};

/// The longest path, key, or type.
const LONGEST: usize = 256;
/// The most keys.
const MOST_KEYS: usize = 64;
/// The most types of elements.
const MOST_TYPES: usize = 32;

const KEYS: &[&str] = &["path", "field", "key", "types", "where", "each", "count", "certificate", "build"];
/// Keys that say by themselves what is taken of the property, with their one word and what it is for.
const ALONE: &[(&str, &str, Pick, &str)] = &[
    ("certificate", "end", Pick::CertificateEnd, "a certificate has no elements"),
    ("build", "released", Pick::BuildReleased, "a product has no elements"),
];

pub(super) fn read(told: &mut Told<'_>, view: &View<'_>) -> Option<Read> {
    view.only(told, KEYS);
    let path = view.needed(told, "path", "\"config.version\"")?;
    let path_text = path.text(told, LONGEST)?;
    if FieldPath::new(path_text).is_none() {
        path.wrong(
            told,
            format!("`{path_text}` is not the path of a property"),
            "write names with dots between, as the vSphere API has them: `config.bootOptions.efiSecureBootEnabled`",
        );
        return None;
    }
    let pick = pick(told, view)?;
    Some(Read { path: path_text.into(), pick })
}

fn pick(told: &mut Told<'_>, view: &View<'_>) -> Option<Pick> {
    let before = told.mistakes.len();
    let field = self::field(told, view, "field");
    let each = self::field(told, view, "each");
    let count = match view.get("count") {
        Some(found) => match found.boolean(told) {
            Some(true) => true,
            Some(false) => {
                found.wrong(told, "`count = false` says nothing", "leave it out");
                return None;
            }
            None => return None,
        },
        None => false,
    };
    if told.mistakes.len() > before {
        return None;
    }
    let elements = view.given(&["types", "where", "each", "count"]);
    for (key, word, pick, why) in ALONE {
        let Some(found) = view.get(key) else { continue };
        found.word(told, &[word], &[()])?;
        let others = ALONE.iter().any(|(other, ..)| other != key && view.get(other).is_some());
        if !elements.is_empty() || field.is_some() || view.get("key").is_some() || others {
            found.wrong(told, *why, "leave the other keys out");
            return None;
        }
        return Some(pick.clone());
    }
    if let Some(found) = view.get("key") {
        let mut keys: Vec<Box<str>> =
            found.texts(told, LONGEST, MOST_KEYS)?.into_iter().map(|key| key.trim().into()).collect();
        keys.sort();
        keys.dedup();
        if let Some(other) = elements.first() {
            let message = format!("`key` and `{other}` exclude each other");
            found.wrong(
                told,
                message,
                "`key` takes the elements that have this key, the others choose elements by something else",
            );
            return None;
        }
        let field = field.or_else(|| FieldPath::new("value"))?;
        return Some(Pick::Keyed { keys: keys.into(), field });
    }
    if elements.is_empty() {
        return Some(field.map_or(Pick::Whole, Pick::Field));
    }
    let types = match view.get("types") {
        Some(found) => {
            let mut types: Vec<Box<str>> =
                found.texts(told, LONGEST, MOST_TYPES)?.into_iter().map(Box::from).collect();
            types.sort();
            types.dedup();
            types.into()
        }
        None => Box::default(),
    };
    let only = match view.get("where") {
        Some(found) => {
            let view = found.table(told)?;
            view.only(told, &["field", "equals"]);
            let _ = view.needed(told, "field", "\"connectable.connected\"")?;
            let name = self::field(told, &view, "field")?;
            let equals = view.needed(told, "equals", "\"true\"")?.text(told, LONGEST)?;
            Some((name, equals.into()))
        }
        None => None,
    };
    if let (Some(_), Some(found)) = (&field, view.get("field")) {
        found.wrong(told, "a list has no fields", "write `each` for a field of each of its elements");
        return None;
    }
    let take = match (count, each) {
        (true, None) => Take::Count,
        (false, Some(field)) => Take::Field(field),
        _ => {
            told.at(
                Some(&view.span),
                Some(&view.key("count")),
                "it is not said what to take of the elements",
                "give either `count = true` or `each`, a field of each of them",
            );
            return None;
        }
    };
    Some(Pick::Elements { types, only, take })
}

fn field(told: &mut Told<'_>, view: &View<'_>, key: &str) -> Option<FieldPath> {
    let found = view.get(key)?;
    let text = found.text(told, LONGEST)?;
    let field = FieldPath::new(text);
    if field.is_none() {
        found.wrong(
            told,
            format!("`{text}` is not a field"),
            "write names with dots between: `backing.diskMode`",
        );
    }
    field
}
