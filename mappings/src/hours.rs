//! Hours of the week in which something is allowed, such as `Mon-Fri 20:00-06:00`.
//!
//! An entry is days, times, or both: `Sat,Sun`, `22:00-06:00`, `Mon-Fri 20:00-06:00`. Times that end before they begin go on
//! into the next day; the days are those on which they begin. What is allowed is told in a time zone, by the clock on
//! the wall there: in the night in which clocks are put forward, an hour that does not exist is not waited for.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// A day and a little: within it every entry begins again.
const DAYS_AHEAD: i32 = 8;
pub(crate) const NAMES: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Why hours cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is not understood: {why}")]
pub struct HoursError {
    /// The entry, as it was written.
    pub entry: String,
    /// What is wrong with it.
    pub why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    days: [bool; 7],
    from: Time,
    /// The end, which is not part of it. Not later than `from`: on the next day.
    to: Time,
}

/// Hours of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    spans: Vec<Span>,
    zone: TimeZone,
}

impl Default for Hours {
    /// Always.
    fn default() -> Self {
        Self { spans: Vec::new(), zone: TimeZone::UTC }
    }
}

impl Hours {
    /// Reads entries. None at all: always.
    ///
    /// # Errors
    /// When one is not understood.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>, zone: TimeZone) -> Result<Self, HoursError> {
        let read = |entry: &str| span(entry).map_err(|why| HoursError { entry: entry.to_owned(), why });
        let spans = entries.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { spans, zone })
    }

    /// Whether `now` is in them.
    ///
    /// ```
    /// use mappings::hours::Hours;
    /// let hours = Hours::new(["Mon-Fri 20:00-06:00"], jiff::tz::TimeZone::UTC).unwrap();
    /// // The small hours of a Saturday belong to the Friday.
    /// assert!(hours.contain("2026-11-28T05:59:59Z".parse().unwrap()));
    /// assert!(!hours.contain("2026-11-28T06:00:00Z".parse().unwrap()));
    /// ```
    #[must_use]
    pub fn contain(&self, now: Timestamp) -> bool {
        if self.spans.is_empty() {
            return true;
        }
        let local = self.zone.to_datetime(now);
        let (today, time) = (local.date(), local.time());
        self.spans.iter().any(|span| {
            if span.from < span.to {
                return span.on(today) && span.from <= time && time < span.to;
            }
            (span.on(today) && span.from <= time)
                || (time < span.to && today.yesterday().is_ok_and(|yesterday| span.on(yesterday)))
        })
    }

    /// When they begin next after `now`.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let today = self.zone.to_datetime(now).date();
        let begins = (0..DAYS_AHEAD).filter_map(|ahead| {
            let day = today.checked_add(ahead.days()).ok()?;
            let spans = self.spans.iter().filter(|span| span.on(day));
            let starts = spans.filter_map(|span| {
                let start = self.zone.to_ambiguous_timestamp(day.to_datetime(span.from));
                start.compatible().ok().filter(|start| *start > now)
            });
            starts.min()
        });
        begins.min()
    }
}

impl Span {
    fn on(&self, day: Date) -> bool {
        self.days[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs()) % 7]
    }
}

fn span(entry: &str) -> Result<Span, &'static str> {
    let words: Vec<&str> = entry.split_whitespace().collect();
    let is_time = |word: &str| word.contains(':');
    let (days, times) = match words[..] {
        [times] if is_time(times) => (None, Some(times)),
        [days] => (Some(days), None),
        [days, times] if is_time(times) && !is_time(days) => (Some(days), Some(times)),
        _ => return Err("write days, times or both, such as `Mon-Fri 20:00-06:00`"),
    };
    let days = days.map_or(Ok([true; 7]), days_of)?;
    let (from, to) = times.map_or(Ok((Time::midnight(), Time::midnight())), times_of)?;
    Ok(Span { days, from, to })
}

fn days_of(text: &str) -> Result<[bool; 7], &'static str> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let mut at = first;
        loop {
            days[at] = true;
            if at == last {
                break;
            }
            at = (at + 1) % 7;
        }
    }
    Ok(days)
}

fn day(name: &str) -> Result<usize, &'static str> {
    let known = NAMES.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
    known.ok_or("days are Mon, Tue, Wed, Thu, Fri, Sat and Sun, as a list (Sat,Sun) or a range (Mon-Fri)")
}

fn times_of(text: &str) -> Result<(Time, Time), &'static str> {
    let wrong = "times are from-to, such as 20:00-06:00";
    let (from, to) = text.split_once('-').ok_or(wrong)?;
    Ok((time(from).ok_or(wrong)?, time(to).ok_or(wrong)?))
}

/// `HH:MM`; `24:00` is the midnight at the end of the day.
pub(crate) fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    if (hour, minute) == ("24", "00") {
        return Some(Time::midnight());
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(entries: &[&str], zone: &str) -> Hours {
        Hours::new(entries.iter().copied(), TimeZone::get(zone).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_and_times() {
        let weekend = hours(&["Sat,Sun", "Wed 12:00-13:00"], "UTC");
        for (time, within) in [
            ("2026-11-27T23:59:59Z", false),
            ("2026-11-28T00:00:00Z", true),
            ("2026-11-29T23:59:59Z", true),
            ("2026-11-30T00:00:00Z", false),
            ("2026-12-02T12:30:00Z", true),
            ("2026-12-02T13:00:00Z", false),
        ] {
            assert_eq!(weekend.contain(at(time)), within, "{time}");
        }
        assert_eq!(weekend.next(at("2026-11-30T00:00:00Z")), Some(at("2026-12-02T12:00:00Z")));
        assert_eq!(weekend.next(at("2026-12-02T12:00:00Z")), Some(at("2026-12-05T00:00:00Z")));
        assert!(Hours::default().contain(at("2026-11-30T00:00:00Z")));
        // A range may go over the end of the week.
        assert!(hours(&["Sun-Mon"], "UTC").contain(at("2026-11-30T10:00:00Z")));
    }

    #[test]
    fn the_clock_on_the_wall_decides() {
        let night = hours(&["22:00-06:00"], "Europe/Berlin");
        assert!(night.contain(at("2026-11-27T21:00:00Z")));
        assert!(!night.contain(at("2026-11-27T20:59:59Z")));
        // In summer it is an hour earlier by UTC.
        assert!(night.contain(at("2026-07-01T20:00:00Z")));
        assert_eq!(night.next(at("2026-07-01T12:00:00Z")), Some(at("2026-07-01T20:00:00Z")));
    }

    #[test]
    fn an_hour_that_the_clock_leaves_out_begins_right_after() {
        // 02:30 does not exist in Berlin on 2027-03-28.
        let odd = hours(&["02:30-04:00"], "Europe/Berlin");
        let begins = odd.next(at("2027-03-28T00:00:00Z")).unwrap();
        assert_eq!(begins, at("2027-03-28T01:30:00Z"));
        assert!(odd.contain(begins));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for entry in [
            "",
            "Monday",
            "25:00-26:00",
            "20:00",
            "Mon 20-22",
            "Mon 20:00-22:00 x",
            "20:00-22:00 Mon",
            "1:00-2:00",
        ] {
            assert!(Hours::new([entry], TimeZone::UTC).is_err(), "{entry}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Hours::new([text.as_str()], TimeZone::UTC);
        }

        #[test]
        fn where_they_begin_they_are(seconds in 1_600_000_000_i64..2_000_000_000, from in 0_i8..24, to in 0_i8..24) {
            let entry = format!("Mon-Thu {from:02}:00-{to:02}:30");
            let hours = hours(&[&entry], "America/New_York");
            let now = Timestamp::from_second(seconds).unwrap();
            let next = hours.next(now).unwrap();
            proptest::prop_assert!(next > now && hours.contain(next), "{entry} {next}");
        }
    }
}
