//! The order in which several values of one rule are written: as people sort, so that `g2` comes before `g10`, and the same
//! whatever order vCenter answers in.

use std::cmp::Ordering;

use crate::glob::fold;

/// Compares without regard to case, and numbers by their value; what is equal then, by its bytes.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (x, rest_x) = number(left);
            let (y, rest_y) = number(right);
            let by_value = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
            if by_value.is_ne() {
                return by_value;
            }
            (left, right) = (rest_x, rest_y);
        } else {
            let by_letter = fold(x).cmp(&fold(y));
            if by_letter.is_ne() {
                return by_letter;
            }
            (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
        }
    }
}

/// The number at the beginning, without leading zeros, and what follows.
fn number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_people_sort() {
        let mut values = ["g10", "G2", "a", "g1", "B", "g02", "g2", "", "ä", "g2b"];
        values.sort_by(|a, b| compare(a, b));
        assert_eq!(values, ["", "a", "B", "g1", "G2", "g02", "g2", "g2b", "g10", "ä"]);
    }

    proptest! {
        #[test]
        fn it_is_an_order(a in "[aA01é]{0,5}", b in "[aA01é]{0,5}", c in "[aA01é]{0,5}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b).is_eq(), a == b);
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
