//! Policies: who may do what to which resource, in the language of IAM as far as vmbridge's own policies use it.
//!
//! What is not understood is refused when the policy is set, so that no condition is ever overlooked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A policy document.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    allow: bool,
    /// Patterns, and whether they name what is meant (`Action`) or what is not (`NotAction`).
    actions: (Vec<String>, bool),
    resources: (Vec<String>, bool),
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
struct Condition {
    set: Set,
    test: Test,
    negated: bool,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    One,
    All,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equals,
    EqualsIgnoreCase,
    Like,
    Bool,
    Null,
}

/// One or several strings.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Strings {
    One(String),
    Many(Vec<String>),
    Flag(bool),
}

impl From<Strings> for Vec<String> {
    fn from(strings: Strings) -> Self {
        match strings {
            Strings::One(one) => vec![one],
            Strings::Many(many) => many,
            Strings::Flag(flag) => vec![flag.to_string()],
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Statements {
    Many(Vec<Written>),
    One(Box<Written>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    version: String,
    #[serde(default)]
    #[expect(dead_code, reason = "it may be there and means nothing")]
    id: Option<String>,
    statement: Statements,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Written {
    #[serde(default)]
    #[expect(dead_code, reason = "it may be there and means nothing")]
    sid: Option<String>,
    effect: String,
    action: Option<Strings>,
    not_action: Option<Strings>,
    resource: Option<Strings>,
    not_resource: Option<Strings>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, Strings>>,
}

/// What a call is about, for conditions: keys in small letters and their values.
pub(crate) type Context = BTreeMap<String, Vec<String>>;

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// Nothing allows it.
    NotAllowed,
    /// A statement forbids it.
    Denied,
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// What is wrong with it or not understood.
    pub(crate) fn read(document: &Value) -> Result<Self, String> {
        let document = Document::deserialize(document).map_err(|error| error.to_string())?;
        if document.version != "2012-10-17" {
            return Err(format!(
                "{} is no version of the policy language that is understood",
                document.version
            ));
        }
        let written = match document.statement {
            Statements::Many(many) => many,
            Statements::One(one) => vec![*one],
        };
        let statements: Result<Vec<Statement>, String> = written.into_iter().map(Statement::read).collect();
        Ok(Self { statements: statements? })
    }

    pub(crate) fn judge(&self, action: &str, resource: &str, context: &Context) -> Verdict {
        let hits = |statement: &&Statement| statement.fits(action, resource, context);
        let mut verdict = Verdict::NotAllowed;
        for statement in self.statements.iter().filter(hits) {
            if !statement.allow {
                return Verdict::Denied;
            }
            verdict = Verdict::Allowed;
        }
        verdict
    }
}

impl Statement {
    fn read(written: Written) -> Result<Self, String> {
        let allow = match written.effect.as_str() {
            "Allow" => true,
            "Deny" => false,
            other => return Err(format!("{other} is no effect")),
        };
        let pick = |named: Option<Strings>, others: Option<Strings>, what: &str| match (named, others) {
            (Some(named), None) => Ok((Vec::from(named), true)),
            (None, Some(others)) => Ok((Vec::from(others), false)),
            _ => Err(format!("a statement needs either {what} or Not{what}")),
        };
        let actions = pick(written.action, written.not_action, "Action")?;
        if let Some(odd) = actions.0.iter().find(|action| *action != "*" && !action.contains(':')) {
            return Err(format!("{odd} is no action"));
        }
        let resources = pick(written.resource, written.not_resource, "Resource")?;
        if let Some(odd) = resources.0.iter().find(|arn| *arn != "*" && arn.splitn(6, ':').count() < 6) {
            return Err(format!("{odd} is no ARN"));
        }
        let mut conditions = Vec::new();
        for (operator, keys) in written.condition {
            for (key, values) in keys {
                conditions.push(Condition::read(&operator, &key, values.into())?);
            }
        }
        Ok(Self { allow, actions, resources, conditions })
    }

    fn fits(&self, action: &str, resource: &str, context: &Context) -> bool {
        let (action, actions) = (action.to_ascii_lowercase(), &self.actions);
        actions.0.iter().any(|pattern| like(&pattern.to_ascii_lowercase(), &action)) == actions.1
            && self.resources.0.iter().any(|pattern| like(pattern, resource)) == self.resources.1
            && self.conditions.iter().all(|condition| condition.holds(context))
    }
}

impl Condition {
    fn read(operator: &str, key: &str, values: Vec<String>) -> Result<Self, String> {
        let (set, name) = match operator.split_once(':') {
            Some(("ForAllValues", name)) => (Set::All, name),
            Some(("ForAnyValue", name)) => (Set::Any, name),
            Some(_) => return Err(format!("{operator} is not understood")),
            None => (Set::One, operator),
        };
        let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        let (test, negated) = match name {
            "StringEquals" | "ArnEquals" => (Test::Equals, false),
            "StringNotEquals" | "ArnNotEquals" => (Test::Equals, true),
            "StringEqualsIgnoreCase" => (Test::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Test::EqualsIgnoreCase, true),
            "StringLike" | "ArnLike" => (Test::Like, false),
            "StringNotLike" | "ArnNotLike" => (Test::Like, true),
            "Bool" => (Test::Bool, false),
            "Null" => (Test::Null, false),
            _ => return Err(format!("{operator} is not understood")),
        };
        if values.iter().any(|value| value.contains("${")) {
            return Err("policy variables are not understood".to_owned());
        }
        let known = [
            "aws:resourcetag/",
            "aws:requesttag/",
            "ssm:resourcetag/",
            "aws:tagkeys",
            "aws:principalarn",
            "aws:principalaccount",
            "aws:requestedregion",
            "aws:securetransport",
            "securityhub:targetaccount",
            "sts:externalid",
            "sts:rolesessionname",
            "iam:passedtoservice",
        ];
        let key = key.to_ascii_lowercase();
        if !known
            .iter()
            .any(|known| if known.ends_with('/') { key.starts_with(known) } else { key == *known })
        {
            return Err(format!("the condition key {key} is not understood"));
        }
        Ok(Self { set, test, negated, if_exists, key, values })
    }

    fn holds(&self, context: &Context) -> bool {
        let found = context.get(&self.key);
        if self.test == Test::Null {
            return self.values.iter().any(|wanted| wanted == if found.is_some() { "false" } else { "true" });
        }
        let Some(found) = found else {
            // Nothing is all of anything; a key that is not there differs from every value.
            return self.if_exists || self.set == Set::All || (self.negated && self.set == Set::One);
        };
        let fits = |value: &String| {
            let hit = self.values.iter().any(|wanted| match self.test {
                Test::Equals => wanted == value,
                Test::EqualsIgnoreCase | Test::Bool => wanted.eq_ignore_ascii_case(value),
                Test::Like => like(wanted, value),
                Test::Null => false,
            });
            hit != self.negated
        };
        match self.set {
            Set::One | Set::All => found.iter().all(fits),
            Set::Any => found.iter().any(fits),
        }
    }
}

/// Whether a text fits a pattern with `*` and `?`.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(one) if *one == '?' || *one == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                seen = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(statements: &Value) -> Policy {
        Policy::read(&json!({ "Version": "2012-10-17", "Statement": statements })).unwrap()
    }

    fn context(pairs: &[(&str, &[&str])]) -> Context {
        pairs
            .iter()
            .map(|(k, v)| (k.to_ascii_lowercase(), v.iter().map(|v| (*v).to_owned()).collect()))
            .collect()
    }

    #[test]
    fn patterns_are_globs() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "aXbYbc", true),
            ("ssm:*Tags*", "ssm:AddTagsToResource", true),
            ("abc", "abcd", false),
            ("", "", true),
        ] {
            assert_eq!(like(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn deny_wins_and_silence_is_no() {
        let policy = policy(&json!([
            { "Effect": "Allow", "Action": ["ssm:Describe*", "SSM:AddTagsToResource"], "Resource": "*" },
            { "Effect": "Deny", "NotAction": "ssm:*", "Resource": "*" },
            { "Effect": "Deny", "Action": "ssm:AddTagsToResource", "Resource": "arn:aws:ssm:*:*:managed-instance/mi-2*" },
        ]));
        let judge = |action, resource: &str| policy.judge(action, resource, &Context::new());
        let node = |id| format!("arn:aws:ssm:eu-central-1:111122223333:managed-instance/{id}");
        assert_eq!(judge("ssm:DescribeActivations", "*"), Verdict::Allowed);
        assert_eq!(judge("ssm:AddTagsToResource", &node("mi-1")), Verdict::Allowed);
        assert_eq!(judge("ssm:AddTagsToResource", &node("mi-23")), Verdict::Denied);
        assert_eq!(judge("ssm:CreateActivation", "*"), Verdict::NotAllowed);
        assert_eq!(judge("tag:GetResources", "*"), Verdict::Denied);
    }

    #[test]
    fn conditions_look_at_tags() {
        let with = |condition: Value| {
            policy(&json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition }))
        };
        let keys = &[("aws:TagKeys", &["Patch Group", "Owner"][..]), ("ssm:ResourceTag/Site", &["Bonn"][..])];
        for (condition, holds) in [
            (json!({ "StringEquals": { "ssm:resourceTag/Site": ["Bonn", "Ulm"] } }), true),
            (json!({ "StringEquals": { "aws:ResourceTag/Site": "Bonn" } }), false),
            (json!({ "StringLike": { "ssm:resourceTag/Site": "B*" } }), true),
            (json!({ "StringNotEquals": { "aws:ResourceTag/Site": "Bonn" } }), true),
            (json!({ "StringEqualsIfExists": { "aws:ResourceTag/Site": "Bonn" } }), true),
            (json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["Patch Group", "Owner", "x"] } }), true),
            (json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["Patch Group"] } }), false),
            (json!({ "ForAllValues:StringEquals": { "aws:RequestTag/x": "y" } }), true),
            (json!({ "ForAnyValue:StringLike": { "aws:TagKeys": ["Patch*"] } }), true),
            (json!({ "ForAnyValue:StringLike": { "aws:TagKeys": ["patch*"] } }), false),
            (json!({ "Null": { "aws:TagKeys": "false" } }), true),
            (json!({ "Null": { "aws:RequestTag/x": false } }), false),
        ] {
            let allowed = with(condition.clone()).judge("ssm:X", "*", &context(keys)) == Verdict::Allowed;
            assert_eq!(allowed, holds, "{condition}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for document in [
            json!({ "Version": "2008-10-17", "Statement": [] }),
            json!({ "Version": "2012-10-17", "Statement": { "Effect": "Perhaps", "Action": "*", "Resource": "*" } }),
            json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "*" } }),
            json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "*", "Resource": "mi-1" } }),
            json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*", "If": 1 } }),
            json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*",
                "Condition": { "DateLessThan": { "aws:CurrentTime": "2026" } } } }),
            json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*",
                "Condition": { "StringEquals": { "aws:Weather": "fine" } } } }),
        ] {
            assert!(Policy::read(&document).is_err(), "{document}");
        }
    }
}
