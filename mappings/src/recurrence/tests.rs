use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use proptest::prelude::*;

use super::{MOST_DAYS_AFTER, Opening, Recurrence};

fn window(text: &str) -> Recurrence {
    Recurrence::parse(text, &TimeZone::UTC).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The begins from one time to another.
fn opens(text: &str, from: &str, to: &str) -> Vec<String> {
    window(text).openings(at(from), at(to)).map(|opening| opening.opens.to_string()).collect()
}

/// When it opens and closes next.
fn next(text: &str, after: &str) -> (String, String) {
    let Opening { opens, closes } = window(text).next(at(after)).unwrap();
    (opens.to_string(), closes.to_string())
}

fn both(opens: &str, closes: &str) -> (String, String) {
    (opens.to_owned(), closes.to_owned())
}

#[test]
fn every_form_opens_when_it_says() {
    for (text, begins) in [
        ("Sun 02:00 4h", &["2026-11-29T02:00:00Z", "2026-12-06T02:00:00Z"][..]),
        ("Sat,Sun 02:00 4h", &["2026-11-28T02:00:00Z", "2026-11-29T02:00:00Z", "2026-12-05T02:00:00Z"]),
        ("Fri-Mon 22:00 90m", &["2026-11-28T22:00:00Z", "2026-11-29T22:00:00Z", "2026-11-30T22:00:00Z"]),
        ("daily 03:00 2h", &["2026-11-28T03:00:00Z", "2026-11-29T03:00:00Z"]),
        ("2nd Tue 22:00 6h", &["2026-12-08T22:00:00Z", "2027-01-12T22:00:00Z", "2027-02-09T22:00:00Z"]),
        ("2nd Tue +4d 22:00 6h", &["2026-12-12T22:00:00Z", "2027-01-16T22:00:00Z"]),
        // The month of the weekday counts, not that of the opening.
        ("last Mon +3d 22:00 6h", &["2026-12-03T22:00:00Z", "2026-12-31T22:00:00Z", "2027-01-28T22:00:00Z"]),
        ("last Sat 01:00 4h", &["2026-11-28T01:00:00Z", "2026-12-26T01:00:00Z", "2027-01-30T01:00:00Z"]),
        ("5th Sun 01:00 4h", &["2026-11-29T01:00:00Z", "2027-01-31T01:00:00Z", "2027-02-28T01:00:00Z"][..2]),
        ("15 23:00 3h", &["2026-12-15T23:00:00Z", "2027-01-15T23:00:00Z"]),
        ("31 23:00 3h", &["2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z", "2027-03-31T23:00:00Z"]),
        ("last day 23:00 3h", &["2026-11-30T23:00:00Z", "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z"]),
        ("2026-12-24 20:00 4h", &["2026-12-24T20:00:00Z"]),
        ("1 00:00 1m Asia/Tokyo", &["2026-11-30T15:00:00Z", "2026-12-31T15:00:00Z"]),
    ] {
        let all = opens(text, "2026-11-28T00:00:00Z", "2028-01-01T00:00:00Z");
        assert_eq!(all[..begins.len()], begins[..], "{text}");
    }
    assert_eq!(opens("2026-12-24 20:00 4h", "2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z").len(), 1);
    assert!(window("2026-12-24 20:00 4h").is_once());
    assert_eq!(window("2026-12-24 20:00 4h").next(at("2026-12-24T20:00:00Z")), None);
}

#[test]
fn leap_years_and_ends_of_months() {
    let february = |year: i32| {
        let (from, to) = (format!("{year}-02-01T00:00:00Z"), format!("{year}-03-01T00:00:00Z"));
        (opens("29 12:00 1h", &from, &to).len(), opens("last day 12:00 1h", &from, &to))
    };
    assert_eq!(february(2027), (0, vec!["2027-02-28T12:00:00Z".to_owned()]));
    assert_eq!(february(2028), (1, vec!["2028-02-29T12:00:00Z".to_owned()]));
    assert_eq!(february(2100), (0, vec!["2100-02-28T12:00:00Z".to_owned()]));
    // A year of the last days, and of the 31sts.
    assert_eq!(opens("last day 23:00 3h", "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z").len(), 12);
    assert_eq!(opens("31 23:00 3h", "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z").len(), 7);
    // 29 February 2028 is a fifth Tuesday.
    assert!(opens("5th Tue 01:00 1h", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z").len() == 1);
    assert!(Recurrence::parse("2027-02-29 12:00 1h", &TimeZone::UTC).is_err());
    assert!(Recurrence::parse("2028-02-29 12:00 1h", &TimeZone::UTC).is_ok());
}

#[test]
fn an_opening_in_the_hour_that_is_left_out_opens_right_after_it() {
    for (text, after, opens, closes) in [
        // 02:00 to 03:00 on 28 March 2027.
        (
            "Sun 02:30 4h Europe/Berlin",
            "2027-03-27T00:00:00Z",
            "2027-03-28T01:00:00Z",
            "2027-03-28T05:00:00Z",
        ),
        (
            "Sun 02:00 4h Europe/Berlin",
            "2027-03-27T00:00:00Z",
            "2027-03-28T01:00:00Z",
            "2027-03-28T05:00:00Z",
        ),
        (
            "Sun 03:00 4h Europe/Berlin",
            "2027-03-27T00:00:00Z",
            "2027-03-28T01:00:00Z",
            "2027-03-28T05:00:00Z",
        ),
        (
            "Sun 01:59 4h Europe/Berlin",
            "2027-03-27T00:00:00Z",
            "2027-03-28T00:59:00Z",
            "2027-03-28T04:59:00Z",
        ),
        // 02:00 to 03:00 on 14 March 2027.
        (
            "Sun 02:30 4h America/New_York",
            "2027-03-13T12:00:00Z",
            "2027-03-14T07:00:00Z",
            "2027-03-14T11:00:00Z",
        ),
        // Half an hour: 02:00 to 02:30 on 4 October 2026.
        (
            "Sun 02:15 4h Australia/Lord_Howe",
            "2026-10-01T00:00:00Z",
            "2026-10-03T15:30:00Z",
            "2026-10-03T19:30:00Z",
        ),
        (
            "Sun 02:30 4h Australia/Lord_Howe",
            "2026-10-01T00:00:00Z",
            "2026-10-03T15:30:00Z",
            "2026-10-03T19:30:00Z",
        ),
        (
            "Sun 02:31 4h Australia/Lord_Howe",
            "2026-10-01T00:00:00Z",
            "2026-10-03T15:31:00Z",
            "2026-10-03T19:31:00Z",
        ),
    ] {
        assert_eq!(next(text, after), both(opens, closes), "{text}");
    }
}

#[test]
fn an_opening_in_the_hour_that_comes_twice_opens_the_first_time() {
    for (text, after, opens, again) in [
        // 02:00 to 03:00 twice on 25 October 2026; the second time is an hour later.
        (
            "daily 02:30 30m Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        ),
        (
            "daily 03:00 30m Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-26T02:00:00Z",
        ),
        // 01:00 to 02:00 twice on 1 November 2026.
        (
            "daily 01:30 30m America/New_York",
            "2026-10-31T12:00:00Z",
            "2026-11-01T05:30:00Z",
            "2026-11-02T06:30:00Z",
        ),
        // 01:30 to 02:00 twice on 4 April 2027.
        (
            "daily 01:45 15m Australia/Lord_Howe",
            "2027-04-03T00:00:00Z",
            "2027-04-03T14:45:00Z",
            "2027-04-04T15:15:00Z",
        ),
    ] {
        let first = window(text).next(at(after)).unwrap();
        assert_eq!(first.opens, at(opens), "{text}");
        assert_eq!(window(text).next(first.opens).unwrap().opens, at(again), "{text}: only once");
        // Also for who asks between the first and the second time.
        assert_eq!(window(text).next(first.closes).unwrap().opens, at(again), "{text}");
    }
}

#[test]
fn it_stays_open_for_time_that_passes() {
    // From midnight on, six hours: until seven by the clock in spring, until five in autumn.
    let spring = both("2027-03-27T23:00:00Z", "2027-03-28T05:00:00Z");
    assert_eq!(next("Sun 00:00 6h Europe/Berlin", "2027-03-27T00:00:00Z"), spring);
    let autumn = both("2026-10-24T22:00:00Z", "2026-10-25T04:00:00Z");
    assert_eq!(next("Sun 00:00 6h Europe/Berlin", "2026-10-24T00:00:00Z"), autumn);
}

#[test]
fn a_day_that_a_country_left_out_is_no_second_opening() {
    // Samoa went from 29 to 31 December 2011.
    let all = opens("daily 00:00 1h Pacific/Apia", "2011-12-28T00:00:00Z", "2012-01-02T00:00:00Z");
    let days: Vec<&str> = all.iter().map(|opens| &opens[..10]).collect();
    assert_eq!(days, ["2011-12-28", "2011-12-29", "2011-12-30", "2011-12-31", "2012-01-01"]);
    assert!(all.iter().all(|opens| opens.ends_with("T10:00:00Z")), "{all:?}");
}

#[test]
fn an_end_is_not_part_of_what_is_open() {
    let night = window("Sun 02:00 4h");
    let opening = night.next(at("2026-11-28T00:00:00Z")).unwrap();
    let nanosecond = SignedDuration::from_nanos(1);
    assert_eq!(night.current(opening.opens - nanosecond), None);
    assert_eq!(night.current(opening.opens), Some(opening));
    assert_eq!(night.current(opening.closes - nanosecond), Some(opening));
    assert_eq!(night.current(opening.closes), None);
    // `from` counts, `to` does not; `next` is strictly after.
    assert_eq!(night.openings(opening.opens, opening.opens + nanosecond).count(), 1);
    assert_eq!(night.openings(opening.opens - nanosecond, opening.opens).count(), 0);
    assert_eq!(night.openings(opening.closes, opening.opens).count(), 0);
    assert!(night.next(opening.opens).unwrap().opens > opening.closes);
    // In the shortest day one that is always open opens again before it closes.
    let always = window("daily 00:00 24h Europe/Berlin");
    let now = at("2027-03-28T22:30:00Z");
    assert_eq!(always.current(now).unwrap().opens, at("2027-03-28T22:00:00Z"));
    assert_eq!(always.next(at("2027-03-27T12:00:00Z")).unwrap().closes, at("2027-03-28T23:00:00Z"));
}

#[test]
fn the_text_is_canonical() {
    for (text, canonical) in [
        ("sun 02:00 4H", "Sun 02:00 4h UTC"),
        ("  Sun\t02:00   240m ", "Sun 02:00 4h UTC"),
        ("sun,sat 02:00 90m europe/berlin", "Sat,Sun 02:00 1h30m Europe/Berlin"),
        ("Mon,Tue,Wed,Fri 02:00 0h45m", "Mon-Wed,Fri 02:00 45m UTC"),
        ("Fri-Mon 02:00 24h", "Mon,Fri-Sun 02:00 24h UTC"),
        ("Mon-Sun 02:00 1h", "daily 02:00 1h UTC"),
        ("DAILY 02:00 1h", "daily 02:00 1h UTC"),
        ("2ND TUE +4D 22:00 6h", "2nd Tue +4d 22:00 6h UTC"),
        ("1st Mon +0d 22:00 6h", "1st Mon 22:00 6h UTC"),
        ("LAST Sat 01:00 168h", "last Sat 01:00 168h UTC"),
        ("Last Day 01:00 4h", "last day 01:00 4h UTC"),
        ("07 01:00 4h", "7 01:00 4h UTC"),
        (
            "2026-12-24 20:00 4h America/Argentina/Buenos_Aires",
            "2026-12-24 20:00 4h America/Argentina/Buenos_Aires",
        ),
    ] {
        assert_eq!(window(text).to_string(), canonical);
    }
    // The default zone is by whose clocks it is told, and it is said.
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let read = Recurrence::parse("Sun 02:00 4h", &berlin).unwrap();
    assert_eq!(read, window("Sun 02:00 4h Europe/Berlin"));
    assert_eq!(read.to_string(), "Sun 02:00 4h Europe/Berlin");
    // A zone without a name, and still the same text is read.
    let fixed = TimeZone::fixed(jiff::tz::offset(5));
    let read = Recurrence::parse("Sun 02:00 4h", &fixed).unwrap();
    assert_eq!(Recurrence::parse(&read.to_string(), &fixed), Ok(read));
}

#[test]
fn mistakes_name_the_place_and_what_is_allowed() {
    let wrong = [
        "",
        "   ",
        "Sunn 02:00 4h",
        "Sunday 02:00 4h",
        "Mon-Fry 02:00 4h",
        "Sat,,Sun 02:00 4h",
        "Sat, Sun 02:00 4h",
        "dialy 02:00 4h",
        "Sun 2:00 4h",
        "Sun 24:00 4h",
        "Sun 25:00 4h",
        "Sun 02:00-06:00",
        "Sun 02:00-06:00 4h",
        "Sun 02h 4h",
        "Sun 02:00",
        "02:00 4h",
        "Sun 02:00 4",
        "Sun 02:00 4d",
        "Sun 02:00 0m",
        "Sun 02:00 169h",
        "Sun 02:00 1h60m",
        "Sun 02:00 99999999999999999999h",
        "Sun 02:00 +4h",
        "daily 02:00 25h",
        "Sat,Sun 02:00 30h",
        "Sun 02:00 4h Europe/Berln",
        "Sun 02:00 4h Etc/Unknown",
        "Sun 02:00 4h ../../etc/passwd",
        "Sun 02:00 4h Europe/Berlin now",
        "2nd 22:00 6h",
        "last 22:00 6h",
        "2nd Tuesday 22:00 6h",
        "6th Tue 22:00 6h",
        "secnd Tue 22:00 6h",
        "2nd Tue 4d 22:00 6h",
        "2nd Tue +29d 22:00 6h",
        "2nd Tue + 4d 22:00 6h",
        "0 23:00 3h",
        "32 23:00 3h",
        "2026-13-01 20:00 4h",
        "2026-2-1 20:00 4h",
        "1999-12-31 20:00 4h",
        "rate(1 day)",
        "cron(0 2 ? * SUN *)",
        "日曜 02:00 4h",
        "Sun 02:00 \u{7}\u{202e}4h",
    ];
    let told = wrong.map(|text| match Recurrence::parse(text, &TimeZone::UTC) {
        Ok(read) => panic!("{text} is read as {read}"),
        Err(error) => {
            assert!(text.is_char_boundary(error.offset), "{text}");
            format!("{text:?}\n    {error}")
        }
    });
    insta::assert_snapshot!(told.join("\n"));
    let long = format!("Sun 02:00 4h {}", "x".repeat(1_000_000));
    assert!(Recurrence::parse(&long, &TimeZone::UTC).unwrap_err().to_string().len() < 300);
}

#[test]
fn time_ends() {
    for text in
        ["daily 03:00 2h", "Mon 03:00 2h", "last day 03:00 2h", "2nd Tue +4d 03:00 2h", "2026-12-24 03:00 2h"]
    {
        let window = window(text);
        assert_eq!(window.next(Timestamp::MAX), None, "{text}");
        assert_eq!(window.current(Timestamp::MAX), None, "{text}");
        assert_eq!(window.current(Timestamp::MIN), None, "{text}");
        let first = window.openings(Timestamp::MIN, Timestamp::MAX).next().unwrap();
        assert_eq!(window.is_once(), first.opens > at("2000-01-01T00:00:00Z"), "{text}");
    }
}

#[test]
fn every_day_that_is_meant_and_no_other() {
    // Told apart from the code: of each date, whether it is one.
    let week = |date: Date| (date.day() - 1) / 7 + 1;
    let is_last = |date: Date, days: i8| date.day() + days > date.days_in_month();
    let cases: [(&str, &dyn Fn(Date) -> bool); 9] = [
        ("daily", &|_| true),
        ("Mon-Fri", &|date| !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)),
        ("Wed,Sun", &|date| matches!(date.weekday(), Weekday::Wednesday | Weekday::Sunday)),
        ("2nd Tue", &|date| date.weekday() == Weekday::Tuesday && week(date) == 2),
        ("5th Mon", &|date| date.weekday() == Weekday::Monday && week(date) == 5),
        ("last Fri", &|date| date.weekday() == Weekday::Friday && is_last(date, 7)),
        ("4th Thu +28d", &|date| {
            let thursday = date.checked_sub(28.days()).unwrap();
            thursday.weekday() == Weekday::Thursday && week(thursday) == 4
        }),
        ("30", &|date| date.day() == 30),
        ("last day", &|date| is_last(date, 1)),
    ];
    for (days, is_one) in cases {
        for zone in ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"] {
            let window = window(&format!("{days} 02:15 1h {zone}"));
            let found = window.openings(at("2023-12-20T00:00:00Z"), at("2028-06-01T00:00:00Z"));
            let found: Vec<Date> =
                found.map(|opening| window.zone().to_datetime(opening.opens).date()).collect();
            let (from, to) = (jiff::civil::date(2024, 1, 1), jiff::civil::date(2028, 5, 1));
            let meant: Vec<Date> =
                from.series(1.day()).take_while(|date| *date < to).filter(|date| is_one(*date)).collect();
            let found: Vec<Date> = found.into_iter().filter(|date| (from..to).contains(date)).collect();
            assert_eq!(found, meant, "{days} {zone}");
        }
    }
}

/// What people may write.
fn texts() -> impl Strategy<Value = String> {
    let weekday = || prop::sample::select(vec!["Mon", "tue", "Wed", "Thu", "FRI", "Sat", "Sun"]);
    let nth = prop::sample::select(vec!["1st", "2nd", "3rd", "4th", "5th", "last"]);
    let days = prop_oneof![
        Just("daily".to_owned()),
        Just("last day".to_owned()),
        prop::collection::vec(weekday(), 1..5).prop_map(|days| days.join(",")),
        (weekday(), weekday()).prop_map(|(first, last)| format!("{first}-{last}")),
        (nth.clone(), weekday()).prop_map(|(nth, day)| format!("{nth} {day}")),
        (nth, weekday(), 0..=MOST_DAYS_AFTER).prop_map(|(nth, day, after)| format!("{nth} {day} +{after}d")),
        (1_i8..=31).prop_map(|day| day.to_string()),
        (2000_i16..2200, 1_i8..=12, 1_i8..=28)
            .prop_map(|(year, month, day)| format!("{year}-{month:02}-{day:02}")),
    ];
    let duration = prop_oneof![
        (1_i8..=24).prop_map(|hours| format!("{hours}h")),
        (1_i16..=1440).prop_map(|minutes| format!("{minutes}m")),
        (0_i8..24, 1_i8..60).prop_map(|(hours, minutes)| format!("{hours}h{minutes}m")),
    ];
    let zone = prop::sample::select(vec![
        "",
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Kathmandu",
    ]);
    (days, 0_i8..24, 0_i8..60, duration, zone).prop_map(|(days, hour, minute, duration, zone)| {
        format!("{days} {hour:02}:{minute:02} {duration} {zone}")
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(text in texts()) {
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        let read = Recurrence::parse(&text, &zone).unwrap();
        let again = Recurrence::parse(&read.to_string(), &TimeZone::UTC).unwrap();
        prop_assert_eq!(&again, &read, "{}", read);
        prop_assert_eq!(again.to_string(), read.to_string());
    }

    #[test]
    fn openings_are_ordered_and_none_is_left_out(text in texts(), second in 946_684_800_i64..7_000_000_000) {
        let window = window(&text);
        let mut after = Timestamp::from_second(second).unwrap();
        let from = after;
        let mut all = Vec::new();
        for _ in 0..12 {
            let Some(opening) = window.next(after) else {
                prop_assert!(window.is_once());
                break;
            };
            prop_assert!(opening.opens > after, "{text}: {opening:?} after {after}");
            prop_assert_eq!(opening.closes.duration_since(opening.opens), window.duration());
            // Whoever asks from anywhere before finds the same.
            let between = Timestamp::from_second(i64::midpoint(after.as_second(), opening.opens.as_second())).unwrap();
            if between >= after && between < opening.opens {
                prop_assert_eq!(window.next(between), Some(opening));
            }
            let current = window.current(opening.opens);
            prop_assert_eq!(current, Some(opening), "{}", text);
            all.push(opening);
            after = opening.opens;
        }
        if let Some(last) = all.last() {
            let nanosecond = SignedDuration::from_nanos(1);
            let listed: Vec<_> = window.openings(from + nanosecond, last.opens + nanosecond).collect();
            prop_assert_eq!(listed, all);
        }
    }

    #[test]
    fn the_wall_clock_is_right_but_for_changes(text in texts(), second in 946_684_800_i64..7_000_000_000) {
        let window = window(&text);
        let Some(opening) = window.next(Timestamp::from_second(second).unwrap()) else { return Ok(()) };
        let wall = window.zone().to_datetime(opening.opens).time();
        let written = text.split(' ').find(|word| word.contains(':')).unwrap();
        let change = window.zone().preceding(opening.opens + SignedDuration::from_nanos(1)).next();
        let changed = change.is_some_and(|change| change.timestamp() == opening.opens);
        prop_assert!(changed || wall.strftime("%H:%M").to_string() == written, "{text}: {wall}");
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,60}|[0-9a-zA-Z:+, /-]{0,40}|[0-9]{1,30}[-:][0-9]{1,30} [0-9]{1,30}[hm]{1,2}") {
        match Recurrence::parse(&text, &TimeZone::UTC) {
            Ok(window) => { let _ = window.next(Timestamp::UNIX_EPOCH); }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.offset));
                let told = error.to_string();
                prop_assert!(!told.contains(char::is_control), "{told:?}");
            }
        }
    }
}
