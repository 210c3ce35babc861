//! Windows that come again, for people who have none in Systems Manager: `Sun 02:00 4h`, `2nd Tue +4d 22:00 6h Europe/Berlin`.
//!
//! The text is short enough for the name of a tag in vSphere. It says on which days a window opens, when, for how long, and by
//! which clock on the wall:
//!
//! ```text
//! window   = days time duration [ zone ]
//! days     = "daily" | weekdays | nth weekday [ "+" days "d" ] | day of the month | "last day" | date
//! weekdays = day [ "-" day ] { "," day [ "-" day ] }            Mon-Fri    Sat,Sun
//! nth      = "1st" | "2nd" | "3rd" | "4th" | "5th" | "last"     2nd Tue    last Sat    2nd Tue +4d
//! date     = year "-" month "-" day                             2026-12-24 (once)
//! time     = hour ":" minute                                    02:00
//! duration = [ hours "h" ] [ minutes "m" ]                      4h    90m    1h30m
//! zone     = name in the IANA database                          Europe/Berlin
//! ```
//!
//! A month without such a day (the 31st, a fifth Sunday) is left out; `last day` is in every month.
//!
//! **When clocks change**, a window that would open in the hour that is left out opens at the first instant after it; one that
//! would open in the hour that comes twice opens when it comes first. How long it stays open is time that passes, not time on the
//! wall: four hours are four hours in every night.

mod text;

#[cfg(test)]
mod tests;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

pub use text::RecurrenceError;

/// The longest that a window may stay open.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most days after the nth weekday of a month.
pub const MOST_DAYS_AFTER: i8 = 28;
/// The longest text, in bytes.
pub const LONGEST_TEXT: usize = 160;

/// In so many days every weekday comes again, whatever clocks do.
const DAYS_AHEAD: i32 = 10;
/// In so many months every day of a month comes again: a fifth weekday leaves out three at most.
const MONTHS_AHEAD: i32 = 8;

/// One time that a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opening {
    /// When it opens.
    pub opens: Timestamp,
    /// When it closes; no longer part of it.
    pub closes: Timestamp,
}

impl Opening {
    /// Whether `now` is in it.
    #[must_use]
    pub fn contains(&self, now: Timestamp) -> bool {
        self.opens <= now && now < self.closes
    }
}

/// Which of the days of one name in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nth {
    /// The first to the fifth.
    From(i8),
    Last,
}

/// On which days it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// Days of the week, from Monday.
    Week([bool; 7]),
    /// A weekday of every month, and some days after it.
    Nth { nth: Nth, weekday: Weekday, after: i8 },
    /// A day of every month that has it.
    Month(i8),
    /// The last day of every month.
    MonthEnd,
    /// One date.
    Once(Date),
}

/// A window that comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrence {
    days: Days,
    time: Time,
    duration: SignedDuration,
    zone: TimeZone,
}

impl Recurrence {
    /// Reads what a person wrote. Without a zone at its end, it is told by the clocks of `default_zone`.
    ///
    /// # Errors
    /// When it cannot be understood: what is wrong, where, and what is allowed there.
    ///
    /// ```
    /// use jiff::tz::TimeZone;
    /// use mappings::recurrence::Recurrence;
    ///
    /// // Four days after patch Tuesday.
    /// let window = Recurrence::parse("2nd tue +4d 22:00 6h", &TimeZone::get("Europe/Berlin")?)?;
    /// assert_eq!(window.to_string(), "2nd Tue +4d 22:00 6h Europe/Berlin");
    /// let next = window.next("2026-11-28T00:00:00Z".parse()?).unwrap();
    /// assert_eq!(next.opens.to_string(), "2026-12-12T21:00:00Z");
    ///
    /// let wrong = Recurrence::parse("Sunn 02:00 4h", &TimeZone::UTC).unwrap_err();
    /// assert_eq!(wrong.suggestion.as_deref(), Some("Sun"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse(text: &str, default_zone: &TimeZone) -> Result<Self, RecurrenceError> {
        text::read(text, default_zone)
    }

    /// How long it stays open.
    #[must_use]
    pub fn duration(&self) -> SignedDuration {
        self.duration
    }

    /// The zone by whose clocks it opens.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether it opens once only.
    #[must_use]
    pub fn is_once(&self) -> bool {
        matches!(self.days, Days::Once(_))
    }

    /// The first opening after `after`, not at it. Nothing when there is none: it opened once, or time as it can be counted
    /// (the year 9999) ends before.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Opening> {
        // What opens on a day opens when the wall first says its time, or more. So none is to come of days before today.
        let today = self.zone.to_datetime(after).date();
        match &self.days {
            Days::Once(date) => self.opening(*date).filter(|opening| opening.opens > after),
            Days::Week(days) => (0..DAYS_AHEAD)
                .filter_map(|ahead| today.checked_add(ahead.days()).ok())
                .filter(|date| days[usize::from(date.weekday().to_monday_zero_offset().unsigned_abs()) % 7])
                .find_map(|date| self.opening(date).filter(|opening| opening.opens > after)),
            days => {
                let first = today
                    .checked_sub(i32::from(MOST_DAYS_AFTER).days())
                    .unwrap_or(Date::MIN)
                    .first_of_month();
                (0..MONTHS_AHEAD)
                    .filter_map(|ahead| days.of_month(first.checked_add(ahead.months()).ok()?))
                    .find_map(|date| self.opening(date).filter(|opening| opening.opens > after))
            }
        }
    }

    /// Every opening that begins at `from` or later and before `to`, in order.
    ///
    /// ```
    /// # use jiff::tz::TimeZone;
    /// # use mappings::recurrence::Recurrence;
    /// let window = Recurrence::parse("Mon-Fri 22:00 90m", &TimeZone::UTC)?;
    /// // From Saturday to Saturday.
    /// assert_eq!(window.openings("2026-11-28T00:00:00Z".parse()?, "2026-12-05T00:00:00Z".parse()?).count(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn openings(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Opening> + '_ {
        let before = from.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(from);
        let first = self.next(before);
        std::iter::successors(first, |opening| self.next(opening.opens))
            .take_while(move |opening| opening.opens < to)
    }

    /// The opening that `now` is in. A window that is open for as long as from one opening to the next may, in the night in
    /// which clocks are put forward, open again before it has closed: then the later one.
    #[must_use]
    pub fn current(&self, now: Timestamp) -> Option<Opening> {
        let before = now.checked_sub(self.duration).unwrap_or(Timestamp::MIN);
        let opened = std::iter::successors(self.next(before), |opening| self.next(opening.opens));
        opened.take_while(|opening| opening.opens <= now).filter(|opening| opening.contains(now)).last()
    }

    fn opening(&self, date: Date) -> Option<Opening> {
        let wall = self.zone.to_ambiguous_timestamp(date.to_datetime(self.time));
        let opens = match wall.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => wall.earlier().ok()?,
            AmbiguousOffset::Gap { .. } => {
                // Read by the offset from after the change, the time is before the change, and the change is what comes next.
                let before = wall.earlier().ok()?;
                let change = self.zone.following(before).next().map(|change| change.timestamp());
                change.or_else(|| wall.later().ok())?
            }
        };
        Some(Opening { opens, closes: opens.checked_add(self.duration).ok()? })
    }
}

impl Days {
    /// The day of a month, told by its first day; of `Nth`, the weekday is in that month, and what comes after it may be in the
    /// next.
    fn of_month(&self, first: Date) -> Option<Date> {
        match self {
            Self::Nth { nth, weekday, after } => {
                let nth = match nth {
                    Nth::From(nth) => *nth,
                    Nth::Last => -1,
                };
                first.nth_weekday_of_month(nth, *weekday).ok()?.checked_add(i32::from(*after).days()).ok()
            }
            Self::Month(day) => Date::new(first.year(), first.month(), *day).ok(),
            Self::MonthEnd => Some(first.last_of_month()),
            Self::Week(_) | Self::Once(_) => None,
        }
    }
}
