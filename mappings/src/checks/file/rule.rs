//! One `[[rule]]`.

use super::table::{Told, View};
use super::{expect, read};
use crate::checks::kind::Kind;
use crate::checks::rule::{Condition, Family, References, Rule, RuleId, Severity};
use crate::checks::version::Versions;

/// The longest texts, in characters. What becomes the title, the description and the remedy of a finding has to fit there
/// (Security Hub: 256, 1,024 and 512).
const LONGEST_TITLE: usize = 200;
const LONGEST_RATIONALE: usize = 800;
const LONGEST_REMEDIATION: usize = 512;
const LONGEST_LINK: usize = 512;
/// The longest reference, and the most of one source.
const LONGEST_REFERENCE: usize = 128;
const MOST_REFERENCES: usize = 16;
/// The most conditions.
const MOST_CONDITIONS: usize = 8;

const KEYS: &[&str] = &[
    "id",
    "kind",
    "title",
    "severity",
    "family",
    "rationale",
    "remediation",
    "link",
    "references",
    "applies",
    "when",
    "read",
    "expect",
];

pub(super) fn rule(told: &mut Told<'_>, view: &View<'_>) -> Option<Rule> {
    let id = view.needed(told, "id", "\"acme-vm-encrypted\"").and_then(|found| {
        let text = found.text(told, 80)?;
        told.rule = Some(text.to_owned());
        let id = RuleId::new(text);
        if id.is_none() {
            found.wrong(told, format!("`{text}` cannot be a name"), NAME);
        }
        id
    });
    view.only(told, KEYS);
    let kind = view.needed(told, "kind", "\"vm\"").and_then(|found| found.word(told, Kind::WORDS, Kind::ALL));
    let severity = view
        .needed(told, "severity", "\"medium\"")
        .and_then(|found| found.word(told, Severity::WORDS, Severity::ALL));
    let family = view.needed(told, "family", "\"devices\"").and_then(|found| {
        let text = found.text(told, 80)?;
        let family = Family::new(text);
        if family.is_none() {
            found.wrong(told, format!("`{text}` cannot be a name"), NAME);
        }
        family
    });
    let mut text = |key: &str, longest| -> Option<Box<str>> {
        let found = view.needed(told, key, "\"…\"")?;
        Some(found.text(told, longest)?.trim().into())
    };
    let title = text("title", LONGEST_TITLE);
    let rationale = text("rationale", LONGEST_RATIONALE);
    let remediation = text("remediation", LONGEST_REMEDIATION);
    let link = view.get("link").map(|found| {
        let text = found.text(told, LONGEST_LINK)?;
        let plain = text.strip_prefix("https://").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
        });
        if !plain {
            found.wrong(told, "this is not a link", "it begins with https:// and has no spaces");
        }
        plain.then(|| Box::from(text))
    });
    let references = view.get("references").map_or(Some(References::default()), |found| {
        let view = found.table(told)?;
        references(told, &view)
    });
    let applies = view.get("applies").map_or(Some(Versions::default()), |found| {
        found.read(told, 80, str::parse, "write `>=7.0`, `<8.0` or `>=7.0, <8.0`")
    });
    let when = view.get("when").map_or(Some(Vec::new()), |found| {
        let items = found.items(told, MOST_CONDITIONS)?;
        items
            .into_iter()
            .map(|item| {
                let view = item.table(told)?;
                condition(told, &view)
            })
            .collect()
    });
    let read = view.needed(told, "read", "{ path = \"config.version\" }").and_then(|found| {
        let view = found.table(told)?;
        read::read(told, &view)
    });
    let cases = expect::cases(told, view);
    Some(Rule {
        id: id?,
        kind: kind?,
        title: title?,
        severity: severity?,
        family: family?,
        rationale: rationale?,
        remediation: remediation?,
        link: match link {
            Some(link) => Some(link?),
            None => None,
        },
        references: references?,
        applies: applies?,
        when: when?,
        read: read?,
        cases: cases?,
    })
}

const NAME: &str = "write lower-case letters and digits in groups with single `-` between";

fn references(told: &mut Told<'_>, view: &View<'_>) -> Option<References> {
    view.only(told, &["scg", "stig", "cis"]);
    let mut list = |key| -> Option<Vec<String>> {
        let Some(found) = view.get(key) else { return Some(Vec::new()) };
        let texts = found.texts(told, LONGEST_REFERENCE, MOST_REFERENCES)?;
        Some(texts.into_iter().map(str::to_owned).collect())
    };
    let (scg, stig, cis) = (list("scg"), list("stig"), list("cis"));
    Some(References { scg: scg?, stig: stig?, cis: cis? })
}

fn condition(told: &mut Told<'_>, view: &View<'_>) -> Option<Condition> {
    let read = view.needed(told, "read", "{ path = \"config.firmware\" }").and_then(|found| {
        let view = found.table(told)?;
        read::read(told, &view)
    });
    let otherwise = view
        .needed(told, "otherwise", "\"the firmware is not EFI\"")
        .and_then(|found| found.text(told, LONGEST_TITLE));
    let expect = expect::expect(told, view, &["read", "otherwise"]);
    Some(Condition { read: read?, expect: expect?, otherwise: otherwise?.into() })
}
