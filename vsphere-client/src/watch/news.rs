//! Which of the newest events are new.
//!
//! The collector shows a page of the newest events, again and again; each is to be told once.

use crate::model::Event;

/// Remembers the last event told.
#[derive(Debug, Default)]
pub(super) struct News {
    last: Option<i32>,
}

/// Events to tell.
#[derive(Debug, PartialEq)]
pub(super) struct Fresh {
    /// The oldest first.
    pub(super) events: Vec<Event>,
    pub(super) missed: bool,
}

impl News {
    /// Takes the newest page of a collector that keeps `page` of them; the answer leaves out what was told before.
    ///
    /// The first page after a start is only remembered: everything it tells of is in the state that is read anyway.
    pub(super) fn take(&mut self, mut events: Vec<Event>, page: u32) -> Option<Fresh> {
        // A server whose event database was emptied counts from the beginning again.
        let newest = events.iter().map(|event| event.key).max();
        let Some(last) = self.last else {
            self.last = Some(newest.unwrap_or(0));
            return None;
        };
        if newest.is_none_or(|newest| newest == last) {
            return None;
        }
        self.last = newest;
        let full = events.len() >= page as usize;
        let restarted = newest.is_some_and(|newest| newest < last);
        if !restarted {
            events.retain(|event| event.key > last);
        }
        let missed = restarted || (full && events.len() >= page as usize);
        events.sort_by_key(|event| event.key);
        Some(Fresh { events, missed })
    }

    /// Everything is read anew: what happened until now is in it.
    pub(super) fn restart(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[i32]) -> Vec<Event> {
        keys.iter().map(|&key| Event { key, ..Event::default() }).collect()
    }

    fn told(news: &mut News, keys: &[i32]) -> Option<(Vec<i32>, bool)> {
        news.take(page(keys), 3).map(|fresh| (fresh.events.iter().map(|e| e.key).collect(), fresh.missed))
    }

    #[test]
    fn each_event_is_told_once_and_gaps_are_noticed() {
        let mut news = News::default();
        assert_eq!(told(&mut news, &[7, 6]), None, "the state that is read anyway");
        assert_eq!(told(&mut news, &[7, 6]), None);
        assert_eq!(told(&mut news, &[9, 8, 7]), Some((vec![8, 9], false)));
        assert_eq!(told(&mut news, &[20, 19, 18]), Some((vec![18, 19, 20], true)));
        assert_eq!(told(&mut news, &[2, 1]), Some((vec![1, 2], true)), "numbering began anew");
        assert_eq!(told(&mut news, &[]), None);
        news.restart();
        assert_eq!(told(&mut news, &[5]), None);
    }

    #[test]
    fn the_first_event_ever_is_told() {
        let mut news = News::default();
        assert_eq!(told(&mut news, &[]), None);
        assert_eq!(told(&mut news, &[1]), Some((vec![1], false)));
    }
}
