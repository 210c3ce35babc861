//! Tells of windows that get in doubt while nobody asks: once when one does, and once when it is well again.
//!
//! A window that will not be as its policies want it is to be known in the week before, by whoever reads the log or has an
//! alert on the metric, not only by whoever runs `vmbridge windows`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use mappings::protection::Run;

use crate::plan::{Doubt, WindowPlan};

/// The openings that are in doubt, and why.
#[derive(Debug, Default)]
pub(super) struct Doubts(BTreeMap<(Arc<str>, Timestamp), Vec<&'static str>>);

/// What there is to tell of a window.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is in doubt, or more so than before.
    InDoubt(Run, String),
    /// It is in doubt no more.
    Sure(Run),
}

impl News {
    /// Writes it into the log.
    pub(super) fn log(&self) {
        match self {
            Self::InDoubt(Run { window, name, opens, .. }, why) => tracing::warn!(
                %window, %name, %opens, why, "a window is in doubt; `vmbridge windows --vms` names its VMs"
            ),
            Self::Sure(Run { window, name, opens, .. }) => {
                tracing::info!(%window, %name, %opens, "a window is not in doubt any more");
            }
        }
    }
}

impl Doubts {
    /// Looks at the windows that come. One is told again when another kind of doubt joins, not when its VMs become more or
    /// fewer: those are in `vmbridge windows`.
    pub(super) fn look(&mut self, windows: &[WindowPlan]) -> Vec<News> {
        let mut now = BTreeMap::new();
        let mut news = Vec::new();
        for window in windows {
            let run = &window.forecast.run;
            let key = (run.window.clone(), run.opens);
            let found = window.in_doubt();
            let kinds: Vec<&'static str> = found.iter().map(Doubt::word).collect();
            let known = self.0.get(&key);
            if kinds.iter().any(|kind| known.is_none_or(|known| !known.contains(kind))) {
                let why: Vec<String> = found.iter().map(ToString::to_string).collect();
                news.push(News::InDoubt(run.clone(), why.join("; ")));
            } else if kinds.is_empty() && known.is_some() {
                news.push(News::Sure(run.clone()));
            }
            if !kinds.is_empty() {
                now.insert(key, kinds);
            }
        }
        self.0 = now;
        news
    }

    /// How many are in doubt.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use mappings::protection::Forecast;

    use super::*;

    fn window(late: Vec<usize>, doubts: &[&str]) -> WindowPlan {
        let opens: Timestamp = "2026-12-01T22:00:00Z".parse().unwrap();
        let run = Run {
            window: "mw-1".into(),
            name: "tuesday".into(),
            opens,
            closes: "2026-12-02T02:00:00Z".parse().unwrap(),
        };
        let forecast = Forecast {
            run,
            freezes: opens,
            deadline: opens,
            members: late.clone(),
            protected: Vec::new(),
            planned: Vec::new(),
            late,
            unfit: Vec::new(),
            without_policy: Vec::new(),
            finish: None,
        };
        WindowPlan {
            forecast,
            place: None,
            vms: Arc::default(),
            cannot_hold: Vec::new(),
            joined: Vec::new(),
            left: Vec::new(),
            doubts: doubts.iter().map(|&doubt| doubt.to_owned()).collect(),
        }
    }

    #[test]
    fn a_doubt_is_told_once_and_its_end_once() {
        let mut doubts = Doubts::default();
        assert_eq!(doubts.look(&[window(Vec::new(), &[])]), []);
        let first = window(vec![0], &[]);
        let run = &first.forecast.run;
        let told = "1 VM would have its snapshot after the deadline";
        assert_eq!(doubts.look(std::slice::from_ref(&first)), [News::InDoubt(run.clone(), told.to_owned())]);
        assert_eq!(doubts.look(&[window(vec![0, 1], &[])]), []);
        assert_eq!(doubts.count(), 1);
        let more = doubts.look(&[window(vec![0, 1], &["a group cannot be read"])]);
        let told = "2 VMs would have their snapshots after the deadline; it cannot be said for certain whom it reaches: a group cannot be read";
        assert_eq!(more, [News::InDoubt(run.clone(), told.to_owned())]);
        assert_eq!(doubts.look(&[window(Vec::new(), &[])]), [News::Sure(run.clone())]);
        assert_eq!((doubts.look(&[window(Vec::new(), &[])]), doubts.count()), (Vec::new(), 0));
    }
}
