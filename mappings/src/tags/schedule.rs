//! Recognises schedules that somebody wrote where the name of a window belongs.
//!
//! A tag cannot hold a cron expression (`?`, `*`, `#`, `(` are not allowed), and what is left of one after replacing those is
//! worse than nothing: it looks right. So it is told to people.

use super::chars;

/// Whether the value is a schedule as Systems Manager or cron write it, rather than a name.
pub(super) fn looks_like_schedule(value: &str) -> bool {
    let value = value.trim();
    if ["cron(", "rate(", "at("].iter().any(|word| chars::begins(value, word)) {
        return true;
    }
    let fields = value.split_whitespace().count();
    (5..=7).contains(&fields)
        && value.contains(['*', '?', '#'])
        && value.split_whitespace().all(|field| field.split([',', '-', '/', '#']).all(is_cron_atom))
}

fn is_cron_atom(atom: &str) -> bool {
    const NAMES: [&str; 19] = [
        "sun", "mon", "tue", "wed", "thu", "fri", "sat", "jan", "feb", "mar", "apr", "may", "jun", "jul",
        "aug", "sep", "oct", "nov", "dec",
    ];
    let bare = atom.trim_end_matches(['L', 'W', 'l', 'w']);
    matches!(bare, "" | "*" | "?")
        || bare.bytes().all(|byte| byte.is_ascii_digit())
        || NAMES.iter().any(|name| bare.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_and_names() {
        for schedule in [
            "cron(0 2 ? * SUN#3 *)",
            " CRON(0 2 ? * SUN *)",
            "rate(7 days)",
            "at(2026-01-01T02:00:00)",
            "0 2 * * 0",
            "0 2 ? * SUN *",
            "0 0/30 2-4 LW * ? 2026",
            "15 3 * jan,feb mon-fri",
        ] {
            assert!(looks_like_schedule(schedule), "{schedule}");
        }
        for name in [
            "",
            "sunday-0200",
            "Sun 02:00",
            "3rd Sunday 02:00 UTC at night",
            "week 1 2 3 4",
            "1 2 3 4 5",
            "rated",
            "* * *",
        ] {
            assert!(!looks_like_schedule(name), "{name}");
        }
    }
}
