//! When each snapshot begins, so that all are done in time and no datastore, host or vCenter has too many at once.
//!
//! Snapshots are planned *back* from the deadline: the later one is taken, the less is lost by a rollback, and the less it has
//! grown when it is removed. Time runs backwards for this: the list of jobs is placed from the deadline on, and what would be
//! started first by a clock that runs backwards ends last. Where that leaves too little time, or something that is still at work
//! is in the way, it is planned *forward*, from the earliest moment on, and who ends too late is told.
//!
//! Which job is next is decided by the work that is left behind it on its busiest datastore or host, the longest first among
//! those of one; so the busiest are never idle, and they decide when all is done. Removals are jobs too, with limits of their own.
//!
//! ```
//! use std::num::NonZeroU32;
//! use jiff::SignedDuration;
//! use mappings::snapshot::pacing::{Job, Limits, Resource, plan_back};
//!
//! let one = NonZeroU32::MIN;
//! let limits = Limits { per_datastore: one, per_host: one, per_vcenter: one };
//! let job = |id, minutes| Job {
//!     id,
//!     duration: SignedDuration::from_mins(minutes),
//!     datastores: vec![Resource(1)],
//!     host: None,
//!     vcenter: Resource(1),
//! };
//! let deadline = "2026-11-29T02:00:00Z".parse()?;
//! let now = "2026-11-29T00:00:00Z".parse()?;
//! let plan = plan_back(&[job(1, 10), job(2, 30)], &[], &limits, deadline, now, now);
//! // The longest is the last to be started.
//! assert_eq!(plan.slots[1].start.to_string(), "2026-11-29T01:30:00Z");
//! assert_eq!(plan.slots[0].start.to_string(), "2026-11-29T01:20:00Z");
//! assert!(plan.late.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod list;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};

use list::{Dense, Occupied};

/// The shortest that a job counts as, whatever is estimated.
pub const SHORTEST: SignedDuration = SignedDuration::from_secs(1);
/// The longest that a job counts as, whatever is estimated.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);
/// What should have ended and has not is taken to end after so long from now.
pub const OVERDUE: SignedDuration = SignedDuration::from_mins(1);

/// A datastore, a host or a vCenter, by a number that the caller gives it. The three are counted apart: datastore 1 and host 1
/// are two things. A datastore and a host are taken to belong to one vCenter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource(pub u32);

/// Something to be done with one VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The caller's number for it; no two jobs have the same.
    pub id: usize,
    /// How long it will take, at least [`SHORTEST`] and at most [`LONGEST`].
    pub duration: SignedDuration,
    /// The datastores that it works on. One that is named twice counts once.
    pub datastores: Vec<Resource>,
    /// The host that it works on, where that is known.
    pub host: Option<Resource>,
    /// The vCenter that it goes through.
    pub vcenter: Resource,
}

/// Something that is being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The datastores that it works on.
    pub datastores: Vec<Resource>,
    /// The host that it works on, where that is known.
    pub host: Option<Resource>,
    /// The vCenter that it goes through.
    pub vcenter: Resource,
    /// When it is expected to end.
    pub ends: Timestamp,
}

/// How many jobs may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// On one datastore.
    pub per_datastore: NonZeroU32,
    /// On one host.
    pub per_host: NonZeroU32,
    /// Through one vCenter.
    pub per_vcenter: NonZeroU32,
}

/// When one job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The job.
    pub id: usize,
    /// When it begins.
    pub start: Timestamp,
    /// When it is expected to end.
    pub finish: Timestamp,
}

/// When all jobs run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// One for each job, in the order in which the jobs were given.
    pub slots: Vec<Slot>,
    /// When the first begins; without jobs, when it could.
    pub begin: Timestamp,
    /// When the last is expected to end; without jobs, the same as `begin`.
    pub finish: Timestamp,
    /// Those that are expected to end after the deadline, in the order in which the jobs were given.
    pub late: Vec<usize>,
    /// From the begin of the first to the end of the last.
    pub makespan: SignedDuration,
}

/// Plans all jobs, back from the deadline, or if that needs more time than there is from the later of `earliest` and `now` on.
///
/// No limit is exceeded at any instant, with what is running counted until it is expected to end. Nothing begins before
/// `earliest` or `now`. What is running and would, by a plan back from the deadline, still be in the way when its turn comes, lets
/// all be planned forward. The answer does not depend on the order in which the jobs are given.
///
/// A plan is best kept while it is carried out, and made anew when its jobs, the limits or the deadline change or something takes
/// longer than expected: the plan of those that are left need not be what the plan of all had for them.
#[must_use]
pub fn plan_back(
    jobs: &[Job],
    running: &[Running],
    limits: &Limits,
    deadline: Timestamp,
    earliest: Timestamp,
    now: Timestamp,
) -> Schedule {
    let from = earliest.max(now);
    let mut index = Index::default();
    let (dense, places) = index.dense(jobs, limits);
    // Milliseconds from `from` until each that is running ends.
    let occupied: Vec<Occupied> = running
        .iter()
        .map(|running| {
            let ends = if running.ends > now { running.ends } else { later(now, millis(OVERDUE)) };
            let lanes = index.lanes(&running.datastores, running.host, running.vcenter, limits);
            Occupied { until: millis(ends.duration_since(from)), lanes }
        })
        .filter(|occupied| occupied.until > 0)
        .collect();
    let limits = &index.limits;

    let back = dense.list(limits, &[]);
    let length = dense.length(&back.starts);
    // By when they would end if the last ends at the deadline, in milliseconds from `from`.
    let last =
        deadline.duration_since(from).as_millis().clamp(i128::from(i64::MIN / 4), i128::from(i64::MAX / 4));
    let last = i64::try_from(last).unwrap_or(0);
    let mirrored = || -> Vec<i64> {
        back.starts.iter().zip(&dense.durations).map(|(start, duration)| last - start - duration).collect()
    };
    let is_back = length <= last && dense.fits(limits, &mirrored(), &occupied);
    let forward = if is_back { Vec::new() } else { dense.list(limits, &occupied).starts };
    let slot = |(job, place): (&Job, &usize)| {
        let duration = dense.durations[*place];
        // Back from the deadline itself, so that the last ends at it to the nanosecond.
        let start = if is_back {
            later(deadline, -(back.starts[*place] + duration))
        } else {
            later(from, forward[*place])
        };
        Slot { id: job.id, start, finish: later(start, duration) }
    };
    let slots: Vec<Slot> = jobs.iter().zip(&places).map(slot).collect();
    let begin = slots.iter().map(|slot| slot.start).min().unwrap_or(from);
    let finish = slots.iter().map(|slot| slot.finish).max().unwrap_or(begin);
    let late = slots.iter().filter(|slot| slot.finish > deadline).map(|slot| slot.id).collect();
    Schedule { slots, begin, finish, late, makespan: finish.duration_since(begin) }
}

/// Who may start now: of those whose planned start has come, in the order given, everyone for whom there is room beside what is
/// running and beside those before. What is running counts until it has ended, however long that was expected to take.
///
/// ```
/// # use std::num::NonZeroU32;
/// # use mappings::snapshot::pacing::{Job, Limits, Resource, SHORTEST, startable};
/// let one = NonZeroU32::MIN;
/// let limits = Limits { per_datastore: one, per_host: one, per_vcenter: NonZeroU32::MAX };
/// let job = |id, datastore| Job {
///     id,
///     duration: SHORTEST,
///     datastores: vec![Resource(datastore)],
///     host: None,
///     vcenter: Resource(1),
/// };
/// let now = "2026-11-29T00:00:00Z".parse()?;
/// let jobs = [job(1, 7), job(2, 7), job(3, 8)];
/// assert_eq!(startable(jobs.iter().map(|job| (job, now)), &[], &limits, now), [1, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn startable<'a>(
    waiting: impl IntoIterator<Item = (&'a Job, Timestamp)>,
    running: &[Running],
    limits: &Limits,
    now: Timestamp,
) -> Vec<usize> {
    let mut index = Index::default();
    let mut used: Vec<u32> = Vec::new();
    let mut take = |index: &Index, lanes: &[u32], always: bool| {
        used.resize(index.limits.len(), 0);
        let free = lanes.iter().all(|lane| used[*lane as usize] < index.limits[*lane as usize]);
        if free || always {
            for lane in lanes {
                used[*lane as usize] = used[*lane as usize].saturating_add(1);
            }
        }
        free
    };
    for running in running {
        let lanes = index.lanes(&running.datastores, running.host, running.vcenter, limits);
        take(&index, &lanes, true);
    }
    let due = waiting.into_iter().filter(|(_, start)| *start <= now);
    let starts = due.filter(|(job, _)| {
        let lanes = index.lanes(&job.datastores, job.host, job.vcenter, limits);
        take(&index, &lanes, false)
    });
    starts.map(|(job, _)| job.id).collect()
}

/// The time below which no schedule can be, whatever its order: that of the longest job, and of every datastore, host and vCenter
/// its work divided by its limit.
#[must_use]
pub fn lower_bound(jobs: &[Job], limits: &Limits) -> SignedDuration {
    let mut index = Index::default();
    let (dense, _) = index.dense(jobs, limits);
    SignedDuration::from_millis(dense.lower_bound(&index.limits))
}

/// The lanes of the resources that were met: small numbers in a row, and how many jobs each takes.
#[derive(Default)]
struct Index {
    datastores: HashMap<Resource, u32>,
    hosts: HashMap<Resource, u32>,
    vcenters: HashMap<Resource, u32>,
    limits: Vec<u32>,
}

impl Index {
    /// The lanes of a job; that of the vCenter is the last.
    fn lanes(
        &mut self,
        datastores: &[Resource],
        host: Option<Resource>,
        vcenter: Resource,
        limits: &Limits,
    ) -> Vec<u32> {
        let mut lane = |of: &mut HashMap<Resource, u32>, resource, limit: NonZeroU32| {
            *of.entry(resource).or_insert_with(|| {
                self.limits.push(limit.get());
                // There are fewer resources than can be numbered: each is named by a number of 32 bits, and three kinds of
                // them do not fit into memory.
                u32::try_from(self.limits.len() - 1).unwrap_or(u32::MAX)
            })
        };
        let mut lanes = Vec::with_capacity(datastores.len() + 2);
        for datastore in datastores {
            let lane = lane(&mut self.datastores, *datastore, limits.per_datastore);
            if !lanes.contains(&lane) {
                lanes.push(lane);
            }
        }
        if let Some(host) = host {
            lanes.push(lane(&mut self.hosts, host, limits.per_host));
        }
        lanes.push(lane(&mut self.vcenters, vcenter, limits.per_vcenter));
        lanes
    }

    /// The jobs in the order of their ids, so that nothing depends on the order in which they are given; and where each given job
    /// is in it.
    fn dense(&mut self, jobs: &[Job], limits: &Limits) -> (Dense, Vec<usize>) {
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        order.sort_by_key(|at| jobs[*at].id);
        let mut dense = Dense::default();
        let mut places = vec![0; jobs.len()];
        for (place, at) in order.into_iter().enumerate() {
            let job = &jobs[at];
            let lanes = self.lanes(&job.datastores, job.host, job.vcenter, limits);
            dense.push(millis(job.duration.clamp(SHORTEST, LONGEST)), &lanes);
            places[at] = place;
        }
        (dense, places)
    }
}

/// Rounded up.
fn millis(duration: SignedDuration) -> i64 {
    let more = i128::from(duration.subsec_nanos() % 1_000_000 > 0);
    i64::try_from(duration.as_millis() + more).unwrap_or(if duration.is_negative() {
        i64::MIN
    } else {
        i64::MAX
    })
}

/// So many milliseconds later; at the ends of time as it can be counted, there.
fn later(time: Timestamp, millis: i64) -> Timestamp {
    let end = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    time.checked_add(SignedDuration::from_millis(millis)).unwrap_or(end)
}
