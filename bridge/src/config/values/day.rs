//! Days of the calendar.

use jiff::civil::Date;

use super::super::node::Value;
use super::super::reader::Cell;
use super::super::schema::Kind;

/// A day: `2027-03-31`, with quotes or, as TOML has dates, without.
pub(in super::super) struct Day;

impl Kind for Day {
    type Value = Date;

    fn read(&self, cell: &Cell<'_>) -> Option<Date> {
        let (Value::String(text) | Value::Text(text) | Value::Datetime(text)) = &cell.node.value else {
            return cell.wrong_type("a day", "\"2027-03-31\"");
        };
        cell.allow();
        // What jiff reads is more than this: a time behind the date would be left out without a word.
        let day = text.parse().ok().filter(|day: &Date| day.to_string() == *text);
        day.or_else(|| cell.wrong("not a day", format!("allowed: {}", self.allowed())))
    }

    fn allowed(&self) -> String {
        "a day, year first: `2027-03-31`".to_owned()
    }
}
