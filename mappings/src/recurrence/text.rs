//! How a [`Recurrence`] is written.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use super::{Days, LONGEST, LONGEST_TEXT, MOST_DAYS_AFTER, Nth, Recurrence};
use crate::hours;
use crate::snapshot::name::tidy;

const ORDINALS: [&str; 5] = ["1st", "2nd", "3rd", "4th", "5th"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// The years in which a window may open once; others are mistakes of the pen.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2199;

const SHAPE: &str =
    "write days, a time and a duration, such as `Sun 02:00 4h` or `2nd Tue 22:00 90m Europe/Berlin`";
const DAYS: &str = "days are `daily`, weekdays (`Sun`, `Mon-Fri`, `Sat,Sun`), a weekday of the month (`2nd Tue`, `last Sat`, \
                    `2nd Tue +4d`), a day of the month (`15`, `last day`) or a date (`2026-12-24`)";
const DURATION: &str =
    "a duration is hours, minutes or both, such as `4h`, `90m` or `1h30m`, of 1 minute to 7 days";

/// A text that is no [`Recurrence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecurrenceError {
    /// Byte offset in the text at which the mistake is.
    pub offset: usize,
    /// What is wrong, and what is allowed there.
    pub message: String,
    /// What was probably meant instead of the word there.
    pub suggestion: Option<String>,
    /// The same place, counted in characters from 1.
    pub column: usize,
}

impl std::error::Error for RecurrenceError {}

impl fmt::Display for RecurrenceError {
    /// One sentence with the position, counted in characters from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.column, self.message)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}

/// A word and where it begins.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    at: usize,
}

/// A mistake: where, what, and what was probably meant.
type Mistake = (usize, String, Option<String>);

pub(super) fn read(text: &str, default_zone: &TimeZone) -> Result<Recurrence, RecurrenceError> {
    parse(text, default_zone).map_err(|(offset, message, suggestion)| {
        let column = text.get(..offset).unwrap_or_default().chars().count() + 1;
        RecurrenceError { offset, message, suggestion, column }
    })
}

fn parse(text: &str, default_zone: &TimeZone) -> Result<Recurrence, Mistake> {
    if text.len() > LONGEST_TEXT {
        return Err((0, format!("longer than {LONGEST_TEXT} bytes; {SHAPE}"), None));
    }
    let words: Vec<Word<'_>> = words(text);
    let end = text.trim_end().len();
    if words.is_empty() {
        return Err((0, format!("nothing is written; {SHAPE}"), None));
    }
    let Some(clock) = words.iter().position(|word| word.text.contains(':')) else {
        return Err((end, format!("there is no time; {SHAPE}"), None));
    };
    let (before, after) = (&words[..clock], &words[clock + 1..]);
    let days = days(before, words[clock].at)?;
    let time = time(words[clock])?;
    let (duration_word, zone) = match after {
        [] => return Err((end, format!("there is no duration; {DURATION}"), None)),
        [duration] => (*duration, default_zone.clone()),
        [duration, name] => (*duration, zone(*name)?),
        [_, _, more, ..] => {
            return Err((more.at, format!("`{}` is too much; {SHAPE}", tidy(more.text)), None));
        }
    };
    let duration = duration(duration_word)?;
    if let Some(gap) = shortest_gap(&days).filter(|gap| duration > *gap) {
        let hours = gap.as_hours();
        let message = format!("it would open again, {hours} hours after it opened, before it closes");
        return Err((duration_word.at, message, Some(format!("{hours}h"))));
    }
    Ok(Recurrence { days, time, duration, zone })
}

fn words(text: &str) -> Vec<Word<'_>> {
    let base = text.as_ptr() as usize;
    text.split_whitespace().map(|word| Word { text: word, at: word.as_ptr() as usize - base }).collect()
}

/// The shortest time on the wall from one opening to the next, where it may be shorter than the longest duration.
fn shortest_gap(days: &Days) -> Option<SignedDuration> {
    let Days::Week(days) = days else {
        // Once, or 28 days and more.
        return None;
    };
    let shortest = (1..=7).find(|gap| (0..7).any(|day| days[day] && days[(day + gap) % 7]))?;
    Some(SignedDuration::from_hours(24 * i64::try_from(shortest).ok()?))
}

fn days(words: &[Word<'_>], end: usize) -> Result<Days, Mistake> {
    let wrong = |word: Word<'_>, known: &[&str]| {
        Err((word.at, format!("`{}` is not understood; {DAYS}", tidy(word.text)), closest(word.text, known)))
    };
    match *words {
        [] => Err((end, format!("there are no days before the time; {DAYS}"), None)),
        [word] if word.text.eq_ignore_ascii_case("daily") => Ok(Days::Week([true; 7])),
        [word] if word.text.bytes().all(|byte| byte.is_ascii_digit()) => match word.text.parse() {
            Ok(day @ 1..=31) => Ok(Days::Month(day)),
            _ => Err((word.at, "a day of the month is 1 to 31".to_owned(), None)),
        },
        [word] if word.text.starts_with(|first: char| first.is_ascii_digit()) && word.text.contains('-') => {
            date(word).map(Days::Once)
        }
        [word] if nth(word.text).is_some() => {
            let what =
                if word.text.eq_ignore_ascii_case("last") { "last Sat` or `last day" } else { "2nd Tue" };
            let message =
                format!("`{}` of which days? Write a weekday after it, such as `{what}`", word.text);
            Err((word.at + word.text.len(), message, None))
        }
        [word] => weekdays(word),
        [first, second]
            if first.text.eq_ignore_ascii_case("last") && second.text.eq_ignore_ascii_case("day") =>
        {
            Ok(Days::MonthEnd)
        }
        [first, second, ..] if first.text.ends_with(',') || second.text.starts_with(',') => {
            let message = "a list of days is written without spaces, such as `Sat,Sun`".to_owned();
            Err((first.at + first.text.len(), message, None))
        }
        [first, second, ref rest @ ..] => {
            let Some(nth) = nth(first.text) else {
                return wrong(first, &[&ORDINALS[..], &["last"]].concat());
            };
            let Some(weekday) = weekday(second.text) else {
                let known: Vec<&str> = WEEKDAYS.iter().copied().chain(["day"]).collect();
                let message = format!(
                    "`{}` is no day; after `{}` comes {}",
                    tidy(second.text),
                    first.text,
                    "a weekday, such as `Tue`"
                );
                return Err((second.at, message, closest(second.text, &known)));
            };
            let after = match rest {
                [] => 0,
                [word] => days_after(*word)?,
                [_, more, ..] => return wrong(*more, &[]),
            };
            Ok(Days::Nth { nth, weekday, after })
        }
    }
}

fn nth(word: &str) -> Option<Nth> {
    if word.eq_ignore_ascii_case("last") {
        return Some(Nth::Last);
    }
    let known = ORDINALS.iter().zip(1..).find(|(known, _)| known.eq_ignore_ascii_case(word));
    known.map(|(_, nth)| Nth::From(nth))
}

fn weekday(word: &str) -> Option<Weekday> {
    hours::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, day)| *day)
}

fn weekdays(word: Word<'_>) -> Result<Days, Mistake> {
    let mut days = [false; 7];
    let mut at = word.at;
    let index = |name: &str, at: usize| {
        let known = hours::NAMES.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        known.ok_or_else(|| {
            let all: Vec<&str> = WEEKDAYS.iter().copied().chain(["daily"]).collect();
            let wrong = if name.is_empty() {
                "a day is missing".to_owned()
            } else {
                format!("`{}` is no day", tidy(name))
            };
            (at, format!("{wrong}; {DAYS}"), closest(name, &all))
        })
    };
    for part in word.text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let last_at = at + part.len() - last.len();
        let (mut day, last) = (index(first, at)?, index(last, last_at)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
        at += part.len() + 1;
    }
    Ok(Days::Week(days))
}

fn days_after(word: Word<'_>) -> Result<i8, Mistake> {
    let digits = word.text.strip_prefix('+').and_then(|text| text.strip_suffix(['d', 'D']));
    let days = digits.filter(|digits| is_digits(digits)).and_then(|digits| digits.parse().ok());
    days.filter(|days| (0..=MOST_DAYS_AFTER).contains(days)).ok_or_else(|| {
        let message = format!(
            "`{}` is not understood; days after a weekday of the month are `+1d` to `+{MOST_DAYS_AFTER}d`",
            tidy(word.text)
        );
        (word.at, message, None)
    })
}

fn date(word: Word<'_>) -> Result<Date, Mistake> {
    let parts: Vec<&str> = word.text.split('-').collect();
    let read = match parts[..] {
        [year, month, day]
            if [year.len(), month.len(), day.len()] == [4, 2, 2]
                && parts.iter().all(|part| is_digits(part)) =>
        {
            let year = year.parse().ok().filter(|year| YEARS.contains(year));
            year.zip(month.parse().ok()).zip(day.parse().ok())
        }
        _ => None,
    };
    let date = read.and_then(|((year, month), day)| Date::new(year, month, day).ok());
    date.ok_or_else(|| {
        let (first, last) = (YEARS.start(), YEARS.end());
        let message = format!(
            "`{}` is no date; write year, month and day, such as `2026-12-24`, from {first} to {last}",
            tidy(word.text)
        );
        (word.at, message, None)
    })
}

fn time(word: Word<'_>) -> Result<Time, Mistake> {
    // `24:00` ends a day; what opens then opens on the next.
    hours::time(word.text).filter(|_| !word.text.starts_with("24")).ok_or_else(|| {
        let padded = format!("0{}", word.text);
        let meant = (word.text == "24:00").then(|| "00:00".to_owned());
        let meant = meant.or_else(|| hours::time(&padded).map(|_| padded));
        // From when to when: how long is that?
        let meant = meant.or_else(|| {
            let (from, to) = word.text.split_once('-')?;
            let minutes = hours::time(from)?.duration_until(hours::time(to)?).as_mins();
            Some(format!("{from} {}", Length(if minutes > 0 { minutes } else { minutes + 24 * 60 })))
        });
        (word.at, format!("`{}` is no time; times are `00:00` to `23:59`", tidy(word.text)), meant)
    })
}

fn duration(word: Word<'_>) -> Result<SignedDuration, Mistake> {
    let lower = word.text.to_ascii_lowercase();
    let number = |text: &str| if is_digits(text) { text.parse::<i64>().ok() } else { None };
    let read = match lower.split_once('h') {
        Some((hours, "")) => number(hours).map(|hours| (hours, 0)),
        Some((hours, minutes)) => {
            number(hours).zip(minutes.strip_suffix('m').and_then(number)).filter(|(_, minutes)| *minutes < 60)
        }
        None => lower.strip_suffix('m').and_then(number).map(|minutes| (0, minutes)),
    };
    let minutes = read.and_then(|(hours, minutes)| hours.checked_mul(60)?.checked_add(minutes));
    let minutes = minutes.filter(|minutes| (1..=LONGEST.as_secs() / 60).contains(minutes));
    minutes.map(|minutes| SignedDuration::from_secs(minutes * 60)).ok_or_else(|| {
        let meant = number(&lower).filter(|hours| (1..=24).contains(hours)).map(|hours| format!("{hours}h"));
        (word.at, format!("`{}` is not understood; {DURATION}", tidy(word.text)), meant)
    })
}

fn zone(word: Word<'_>) -> Result<TimeZone, Mistake> {
    let plausible = word.text.len() <= 64
        && word.text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-+".contains(&byte));
    let zone = if plausible { TimeZone::get(word.text).ok() } else { None };
    zone.filter(|zone| !zone.is_unknown() && zone.iana_name().is_some()).ok_or_else(|| {
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!(
            "there is no time zone `{}`; give its IANA name, such as `Europe/Berlin`",
            tidy(word.text)
        );
        (word.at, message, closest(word.text, &known))
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The word that was probably meant.
fn closest(word: &str, known: &[&str]) -> Option<String> {
    let word = word.to_lowercase();
    let near = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&word, &candidate.to_lowercase()), *candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity >= 0.8);
    near.map(|(_, candidate)| candidate.to_owned())
}

impl fmt::Display for Recurrence {
    /// The text form, always with its zone where that has a name; reading it gives an equal recurrence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:02}:{:02} ", self.days, self.time.hour(), self.time.minute())?;
        Length(self.duration.as_mins()).fmt(f)?;
        self.zone.iana_name().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

/// Minutes, as hours and minutes.
struct Length(i64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 60, self.0 % 60) {
            (0, minutes) => write!(f, "{minutes}m"),
            (hours, 0) => write!(f, "{hours}h"),
            (hours, minutes) => write!(f, "{hours}h{minutes}m"),
        }
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Week(days) if *days == [true; 7] => f.write_str("daily"),
            Self::Week(days) => write_weekdays(f, days),
            Self::Nth { nth, weekday, after } => {
                let nth = match nth {
                    Nth::From(nth) => usize::try_from(nth - 1).ok().and_then(|nth| ORDINALS.get(nth)),
                    Nth::Last => None,
                };
                let weekday = WEEKDAYS[usize::from(weekday.to_monday_zero_offset().unsigned_abs()) % 7];
                write!(f, "{} {weekday}", nth.unwrap_or(&"last"))?;
                if *after > 0 {
                    write!(f, " +{after}d")?;
                }
                Ok(())
            }
            Self::Month(day) => write!(f, "{day}"),
            Self::MonthEnd => f.write_str("last day"),
            Self::Once(date) => write!(f, "{date}"),
        }
    }
}

/// Three and more in a row as a range, others one by one.
fn write_weekdays(f: &mut fmt::Formatter<'_>, days: &[bool; 7]) -> fmt::Result {
    let mut comma = "";
    let mut day = 0;
    while day < 7 {
        if !days[day] {
            day += 1;
            continue;
        }
        let run = days[day..].iter().take_while(|on| **on).count();
        if run >= 3 {
            write!(f, "{comma}{}-{}", WEEKDAYS[day], WEEKDAYS[day + run - 1])?;
            day += run;
        } else {
            write!(f, "{comma}{}", WEEKDAYS[day])?;
            day += 1;
        }
        comma = ",";
    }
    Ok(())
}
