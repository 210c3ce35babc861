//! Writes generated findings as lines of JSON, for a judge that is not ours (`tests/referees/test_asff.py`): half of them full,
//! half folded, in every state of their lives, with names and values as bad as people and vCenters make them.
//!
//!     cargo run -p mappings --example asff_findings -- 10000 1

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mappings::findings::life::{Book, Change, Outcome, Plan, Policy, Sight, plan, settle};
use mappings::findings::{
    Advice, Class, Folding, Kind, Node, Object, Owner, Problem, RuleId, Severity, Status, Subject, Tag,
    Target,
};

/// Findings of one plan.
const AT_ONCE: usize = 500;

/// Splitmix64: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn text(&mut self) -> Arc<str> {
        const WORDS: &[&str] = &[
            "web-01",
            "Größe",
            "数据库服务器",
            "сервер",
            "خادم",
            "😀👩‍👩‍👧",
            "e\u{301}\u{301}\u{301}",
            "\u{202e}txt.exe",
            "\u{0}\u{1b}[31m",
            "a\r\nb",
            "<script>alert(1)</script>",
            "\"\\/'`$(id)`",
            "%25%2f",
            "\u{feff}\u{200b}",
            "\u{2028}\u{2029}",
            "\u{10ffff}\u{e000}",
            "{\"a\":1}",
            "'; DROP TABLE findings; --",
            " ",
            "\u{a0}",
        ];
        match self.below(12) {
            0 => "".into(),
            1 => self.one(&[" ", "\u{3000}", "\n"]).into(),
            2 => {
                let (word, times) = (self.one(WORDS), self.below(3000));
                word.repeat(times).into()
            }
            3 => (0..self.below(3000)).map(|_| self.character()).collect::<String>().into(),
            _ => {
                let words: Vec<&str> = (0..=self.below(6)).map(|_| self.one(WORDS)).collect();
                words.join(self.one(&["", " ", "-"])).into()
            }
        }
    }

    fn character(&mut self) -> char {
        let number = match self.below(3) {
            0 => self.below(0x80),
            1 => self.below(0x1_0000),
            _ => self.below(0x11_0000),
        };
        u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
    }

    fn maybe(&mut self) -> Option<Arc<str>> {
        (self.below(3) > 0).then(|| self.text())
    }
}

fn subject(dice: &mut Dice, at: usize) -> Subject {
    let hostile = dice.below(4) == 0;
    let id = |dice: &mut Dice, good: String| if hostile { dice.text() } else { good.as_str().into() };
    let vcenter = id(dice, format!("5d2a3c2e-6f0c-4d0e-9f4e-{:012x}", at % 7));
    let moref = format!("{}{at}", id(dice, "vm-".to_owned()));
    let instance = id(dice, format!("50000000-0000-0000-0000-{at:012x}"));
    let kind = dice.one(&[Kind::Vm, Kind::Vm, Kind::Host, Kind::Cluster, Kind::Portgroup]);
    let tags = (0..dice.below(60)).map(|_| Tag { category: dice.text(), name: dice.text() }).collect();
    Subject {
        object: Object {
            kind,
            vcenter: vcenter.as_ref().into(),
            moref: moref.as_str().into(),
            instance: (kind == Kind::Vm).then(|| instance.as_ref().into()),
        },
        name: dice.text(),
        vcenter_name: dice.text(),
        datacenter: dice.maybe(),
        cluster: dice.maybe(),
        host: dice.maybe(),
        folder: dice.maybe(),
        guest_os: dice.maybe(),
        tags,
        owner: dice.maybe(),
        node: (kind == Kind::Vm && dice.below(2) == 0).then(|| Node {
            id: format!("mi-{at:017x}").as_str().into(),
            account: "111122220001".into(),
            region: "eu-central-1".into(),
        }),
    }
}

fn problem(dice: &mut Dice, subject: &Arc<Subject>, target: &Arc<Target>, rule: usize) -> Problem {
    let name = if dice.below(5) == 0 { dice.text() } else { "rule".into() };
    let evidence = (0..dice.below(30)).map(|_| (dice.text(), dice.text())).collect::<BTreeMap<_, _>>();
    let url = dice
        .maybe()
        .map(|text| if dice.below(2) == 0 { text } else { "https://docs.example.com/x?y=z#1".into() });
    Problem {
        rule: format!("{name}-{rule}").as_str().into(),
        family: "family".into(),
        class: dice.one(&[Class::Hardening, Class::Management, Class::Protection, Class::Patching]),
        subject: Arc::clone(subject),
        target: Arc::clone(target),
        title: dice.text(),
        description: dice.text(),
        severity: dice.one(&[
            Severity::Informational,
            Severity::Low,
            Severity::Medium,
            Severity::High,
            Severity::Critical,
        ]),
        status: dice.one(&[Status::Failed, Status::Failed, Status::Warning, Status::NotAvailable]),
        advice: dice.maybe().map(|text| Advice { text, url }),
        requirements: (0..dice.below(50)).map(|_| dice.text()).collect(),
        evidence,
    }
}

fn write(out: &mut impl std::io::Write, plan: &Plan, left: &mut usize) -> std::io::Result<()> {
    for finding in plan.changes.iter().filter_map(Change::finding).take(*left) {
        writeln!(out, "{}", finding.json())?;
        *left -= 1;
    }
    Ok(())
}

/// Numbers of findings and seed.
fn arguments() -> Option<(usize, u64)> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next()?.parse().ok()?;
    let seed = arguments.next()?.parse().ok()?;
    arguments.next().is_none().then_some((count, seed))
}

fn main() -> ExitCode {
    let Some((mut left, seed)) = arguments() else {
        eprintln!("usage: asff_findings COUNT SEED");
        return ExitCode::from(2);
    };
    let mut dice = Dice(seed);
    let owner: Owner = "0a1b2c3d".into();
    let target = |partition: &str, region: &str| {
        Arc::new(Target {
            partition: partition.into(),
            account: "111122220001".into(),
            region: region.into(),
        })
    };
    let targets = [
        target("aws", "eu-central-1"),
        target("aws-cn", "cn-north-1"),
        target("aws-us-gov", "us-gov-west-1"),
    ];
    let seen = |_: &Object, _: &RuleId| Sight::Seen;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut now = Timestamp::from_second(1_795_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut at = 0;
    while left > 0 {
        let folding = if dice.below(2) == 0 { Folding::Full } else { Folding::Folded };
        let policy = Policy { folding, ..Policy::default() };
        let mut problems = Vec::new();
        while problems.len() < AT_ONCE {
            at += 1;
            let (subject, target) = (Arc::new(subject(&mut dice, at)), &targets[dice.below(targets.len())]);
            let rules = if dice.below(10) == 0 { 90 } else { 1 + dice.below(3) };
            problems.extend((0..rules).map(|rule| problem(&mut dice, &subject, target, rule)));
        }
        let mut book = Book::default();
        // They appear, and are over.
        for wanted in [&problems[..], &[]] {
            let plan = plan(wanted, &book, seen, &owner, &policy, now);
            if let Err(error) = write(&mut out, &plan, &mut left) {
                eprintln!("cannot write findings: {error}");
                return ExitCode::from(2);
            }
            let records = plan.changes.iter().filter_map(|change| settle(change, &Outcome::Accepted, now));
            book.records.extend(records.map(|record| (record.id.clone(), record)));
            now += SignedDuration::from_micros(1_234_567_891);
        }
    }
    if let Err(error) = out.flush() {
        eprintln!("cannot write findings: {error}");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}
