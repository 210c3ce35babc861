//! When a maintenance window opens: `rate(…)`, `at(…)` and `cron(…)`, in a time zone.
//!
//! The part of cron that is played: six fields (minutes, hours, day of the month, month, day of the week, year) of `*`, `?`,
//! numbers, names, lists, ranges and steps, and `2#3` and `6L` for days of the week. What else there may be is refused and never
//! guessed at.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Days that are looked at for the next opening: leap days come every eighth year at worst.
const DAYS: usize = 366 * 9;

/// A schedule that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schedule {
    rule: Rule,
    zone: TimeZone,
    /// Days after the one that cron means.
    offset: i32,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Rate(SignedDuration),
    At(DateTime),
    Cron(Box<Cron>),
}

#[derive(Debug, Clone, PartialEq)]
struct Cron {
    minutes: BTreeSet<i16>,
    hours: BTreeSet<i16>,
    /// `None`: any.
    days: Option<BTreeSet<i16>>,
    months: BTreeSet<i16>,
    weekdays: Weekdays,
    /// `None`: any.
    years: Option<BTreeSet<i16>>,
}

/// Days of the week, 1 is Sunday.
#[derive(Debug, Clone, PartialEq)]
enum Weekdays {
    Any,
    These(BTreeSet<i16>),
    Nth(i16, i8),
    Last(i16),
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or not played.
    pub(crate) fn read(text: &str, zone: Option<&str>, offset: Option<i32>) -> Result<Self, String> {
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| format!("{name} is no time zone"))?,
        };
        let inner = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let rule = if let Some(inner) = inner("rate") {
            Rule::Rate(rate(inner)?)
        } else if let Some(inner) = inner("at") {
            let moment = inner.parse().map_err(|_| format!("{inner} is no date and time"))?;
            Rule::At(moment)
        } else if let Some(inner) = inner("cron") {
            Rule::Cron(Box::new(Cron::read(inner)?))
        } else {
            return Err(format!("{text} is no rate, at or cron expression"));
        };
        if offset.is_some() && !matches!(rule, Rule::Cron(_)) {
            return Err("an offset goes with a cron expression only".to_owned());
        }
        Ok(Self { rule, zone, offset: offset.unwrap_or(0) })
    }

    /// The first opening after a moment, for a window that was made or begins at `begin`.
    pub(crate) fn next(&self, after: Timestamp, begin: Timestamp) -> Option<Timestamp> {
        let after = after.max(begin);
        match &self.rule {
            Rule::At(moment) => self.moment(*moment).filter(|opening| *opening > after),
            Rule::Rate(step) => {
                let passed = after.duration_since(begin).as_secs() / step.as_secs();
                let next = i32::try_from(passed + 1).ok()?;
                begin.checked_add(step.checked_mul(next)?).ok()
            }
            Rule::Cron(cron) => {
                let local = self.zone.to_datetime(after).date();
                // A day earlier: what a change of the clock moves may end up on the next day.
                let mut date = local.checked_sub((self.offset + 1).days()).ok()?;
                for _ in 0..DAYS {
                    if cron.means(date) {
                        let day = date.checked_add(self.offset.days()).ok()?;
                        let times = cron
                            .hours
                            .iter()
                            .flat_map(|hour| cron.minutes.iter().map(move |minute| (*hour, *minute)));
                        let openings = times.filter_map(|(hour, minute)| {
                            let time = Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
                            self.moment(day.to_datetime(time.ok()?))
                        });
                        if let Some(opening) = openings.filter(|opening| *opening > after).min() {
                            return Some(opening);
                        }
                    }
                    date = date.tomorrow().ok()?;
                }
                None
            }
        }
    }

    /// A local time as a moment. One that a change of the clock leaves out is as much later, one that comes twice is the first.
    fn moment(&self, local: DateTime) -> Option<Timestamp> {
        self.zone.to_timestamp(local).ok()
    }
}

fn rate(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text} is no number and unit");
    let (number, unit) = text.split_once(' ').ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3600,
        "day" | "days" => 86_400,
        _ => return Err(wrong()),
    };
    if number == 0 {
        return Err(wrong());
    }
    Ok(SignedDuration::from_secs(i64::from(number) * seconds))
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Cron {
    fn read(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields[..] else {
            return Err(format!("cron({text}) has {} fields instead of six", fields.len()));
        };
        if (days == "?") == (weekdays == "?") {
            return Err(format!(
                "cron({text}) needs a ? for the day of the month or of the week, and one only"
            ));
        }
        let all = |low: i16, high: i16| (low..=high).collect::<BTreeSet<_>>();
        let some = |field, low, high, names| values(field, low, high, names);
        Ok(Self {
            minutes: some(minutes, 0, 59, &[])?.unwrap_or_else(|| all(0, 59)),
            hours: some(hours, 0, 23, &[])?.unwrap_or_else(|| all(0, 23)),
            days: if days == "?" { None } else { some(days, 1, 31, &[])? },
            months: some(months, 1, 12, &MONTHS)?.unwrap_or_else(|| all(1, 12)),
            weekdays: Weekdays::read(weekdays)?,
            years: some(years, 1970, 2199, &[])?,
        })
    }

    /// Whether it means this day.
    fn means(&self, date: Date) -> bool {
        let weekday = i16::from(date.weekday().to_sunday_one_offset());
        let nth = (date.day() - 1) / 7 + 1;
        self.days.as_ref().is_none_or(|days| days.contains(&i16::from(date.day())))
            && self.months.contains(&i16::from(date.month()))
            && self.years.as_ref().is_none_or(|years| years.contains(&date.year()))
            && match &self.weekdays {
                Weekdays::Any => true,
                Weekdays::These(these) => these.contains(&weekday),
                Weekdays::Nth(wanted, which) => *wanted == weekday && *which == nth,
                Weekdays::Last(wanted) => *wanted == weekday && date.day() + 7 > date.days_in_month(),
            }
    }
}

impl Weekdays {
    fn read(field: &str) -> Result<Self, String> {
        let one = |text: &str| number(text, 1, 7, &WEEKDAYS);
        if field == "?" {
            return Ok(Self::Any);
        }
        if let Some((day, which)) = field.split_once('#') {
            let which = number(which, 1, 5, &[])?;
            return Ok(Self::Nth(one(day)?, i8::try_from(which).unwrap_or(1)));
        }
        if let Some(day) = field.strip_suffix('L').filter(|day| !day.is_empty()) {
            return Ok(Self::Last(one(day)?));
        }
        Ok(values(field, 1, 7, &WEEKDAYS)?.map_or(Self::Any, Self::These))
    }
}

fn number(text: &str, low: i16, high: i16, names: &[&str]) -> Result<i16, String> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let number = match named {
        Some(at) => i16::try_from(at).ok().map(|at| at + low),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        None => None,
    };
    let number = number.filter(|number| (low..=high).contains(number));
    number.ok_or_else(|| format!("{text:?} in a cron expression is not played, or not from {low} to {high}"))
}

/// The values of a field; `None`: all.
fn values(field: &str, low: i16, high: i16, names: &[&str]) -> Result<Option<BTreeSet<i16>>, String> {
    if field == "*" {
        return Ok(None);
    }
    let mut values = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step, 1, high.max(1), &[])?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((first, last)) => (number(first, low, high, names)?, number(last, low, high, names)?),
            None => {
                let first = number(range, low, high, names)?;
                (first, if step.is_some() { high } else { first })
            }
        };
        if first > last {
            return Err(format!("{range:?} in a cron expression is not played"));
        }
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(1);
        values.extend((first..=last).step_by(step));
    }
    Ok(Some(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openings(text: &str, zone: &str, offset: Option<i32>, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::read(text, Some(zone), offset).unwrap();
        let begin: Timestamp = after.parse().unwrap();
        let next = |after: &Timestamp| schedule.next(*after, begin);
        std::iter::successors(next(&begin), next).take(count).map(|opening| opening.to_string()).collect()
    }

    #[test]
    fn schedules_open_when_they_say() {
        let berlin = "Europe/Berlin";
        for (text, zone, offset, after, expected) in [
            (
                "rate(2 hours)",
                "UTC",
                None,
                "2026-12-01T00:30:00Z",
                &["2026-12-01T02:30:00Z", "2026-12-01T04:30:00Z"][..],
            ),
            ("at(2026-12-01T02:00:00)", berlin, None, "2026-11-01T00:00:00Z", &["2026-12-01T01:00:00Z"]),
            ("at(2026-12-01T02:00:00)", berlin, None, "2026-12-01T01:00:00Z", &[]),
            (
                "cron(0 2 ? * SUN *)",
                "UTC",
                None,
                "2026-11-28T00:00:00Z",
                &["2026-11-29T02:00:00Z", "2026-12-06T02:00:00Z"],
            ),
            (
                "cron(0/30 4 ? * 2-3 *)",
                "UTC",
                None,
                "2026-11-30T04:00:00Z",
                &["2026-11-30T04:30:00Z", "2026-12-01T04:00:00Z"],
            ),
            // The clock goes forward on 28 March 2027 and back on 25 October 2026.
            (
                "cron(30 2 * * ? *)",
                berlin,
                None,
                "2027-03-27T00:00:00Z",
                &["2027-03-27T01:30:00Z", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"],
            ),
            (
                "cron(30 2 * * ? *)",
                berlin,
                None,
                "2026-10-24T00:00:00Z",
                &["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
            ),
            // The Thursday after the second Tuesday, which need not be the second Thursday.
            (
                "cron(0 3 ? * TUE#2 *)",
                "UTC",
                Some(2),
                "2026-09-01T00:00:00Z",
                &["2026-09-10T03:00:00Z", "2026-10-15T03:00:00Z"],
            ),
            (
                "cron(0 3 ? * FRIL *)",
                "UTC",
                None,
                "2026-02-01T00:00:00Z",
                &["2026-02-27T03:00:00Z", "2026-03-27T03:00:00Z"],
            ),
            ("cron(15 10 29 2 ? *)", "UTC", None, "2096-03-01T00:00:00Z", &["2104-02-29T10:15:00Z"]),
            ("cron(0 0 1 1 ? 2027)", "UTC", None, "2026-12-01T00:00:00Z", &["2027-01-01T00:00:00Z"]),
        ] {
            let count = expected.len().max(1);
            let found = openings(text, zone, offset, after, count);
            assert_eq!(found, expected, "{text} {zone} {offset:?}");
        }
    }

    #[test]
    fn what_is_not_played_is_refused() {
        for text in [
            "",
            "vmbridge",
            "rate(0 days)",
            "rate(1 week)",
            "rate(1)",
            "at(soon)",
            "cron()",
            "cron(0 2 ? * SUN)",
            "cron(0 2 * * * *)",
            "cron(0 2 ? * ? *)",
            "cron(60 2 ? * SUN *)",
            "cron(0 2 15W * ? *)",
            "cron(0 2 L * ? *)",
            "cron(0 2 ? * SUN#6 *)",
            "cron(0 2 ? * FRI-MON *)",
            "cron(0 2 ? 13 SUN *)",
            "cron(+1 2 ? * SUN *)",
        ] {
            assert!(Schedule::read(text, None, None).is_err(), "{text}");
        }
        assert!(Schedule::read("rate(1 day)", Some("Europe/Entenhausen"), None).is_err());
        assert!(Schedule::read("rate(1 day)", None, Some(2)).is_err());
    }
}
