//! List scheduling: at every instant, of the jobs for which there is room, the one with the most work behind it begins.
//!
//! A job that finds a lane full waits at that lane, and is not looked at again before something there ends. Then the first of those
//! who wait there gets its turn; if it begins, or finds another lane full and goes to wait there, the next of them gets its turn,
//! for as long as there is room. So nothing that could begin is forgotten, and hardly anything is looked at in vain.
//! Who has a turn is in the row of its vCenter, and stays there while the vCenter has no room.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Range;

/// Jobs as numbers, for speed, in the order of their ids. Times are milliseconds from the begin.
#[derive(Default)]
pub(super) struct Dense {
    pub(super) durations: Vec<i64>,
    /// The lanes of all jobs, one job's after the other's; that of the vCenter is the last of each.
    lanes: Vec<u32>,
    ends: Vec<usize>,
}

/// Lanes that are taken until then.
pub(super) struct Occupied {
    pub(super) until: i64,
    pub(super) lanes: Vec<u32>,
}

/// What comes out.
pub(super) struct Listed {
    /// When each job begins.
    pub(super) starts: Vec<i64>,
    /// How often a job was looked at.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests see by it that the effort grows with the jobs only")
    )]
    pub(super) looks: usize,
}

/// A job's claim to be next: the work behind it, then the lower id.
type Claim = (i64, Reverse<u32>);

struct Lane {
    limit: u32,
    used: u32,
    waiting: BinaryHeap<Claim>,
}

impl Lane {
    fn has_room(&self) -> bool {
        self.used < self.limit
    }
}

/// The state of one run.
struct Run<'a> {
    jobs: &'a Dense,
    occupied: &'a [Occupied],
    lanes: Vec<Lane>,
    /// The vCenters with new turns or new room.
    awake: BTreeSet<u32>,
    /// What ends next: a job, or with the number of jobs added, one of `occupied`.
    running: BinaryHeap<Reverse<(i64, usize)>>,
    starts: Vec<i64>,
    looks: usize,
}

impl Dense {
    pub(super) fn push(&mut self, duration: i64, lanes: &[u32]) {
        self.durations.push(duration);
        self.lanes.extend_from_slice(lanes);
        self.ends.push(self.lanes.len());
    }

    fn len(&self) -> usize {
        self.durations.len()
    }

    fn range(&self, job: usize) -> Range<usize> {
        let begin = job.checked_sub(1).map_or(0, |before| self.ends[before]);
        begin..self.ends[job]
    }

    fn lanes_of(&self, job: usize) -> &[u32] {
        &self.lanes[self.range(job)]
    }

    /// The lane of the vCenter, and the others.
    fn split(&self, job: usize) -> (u32, &[u32]) {
        // Every job has a vCenter.
        self.lanes_of(job).split_last().map_or((0, &[]), |(vcenter, others)| (*vcenter, others))
    }

    /// When the last ends.
    pub(super) fn length(&self, starts: &[i64]) -> i64 {
        starts.iter().zip(&self.durations).map(|(start, duration)| start + duration).max().unwrap_or(0)
    }

    pub(super) fn lower_bound(&self, limits: &[u32]) -> i64 {
        let mut work = vec![0_i64; limits.len()];
        for job in 0..self.len() {
            for lane in self.lanes_of(job) {
                work[*lane as usize] += self.durations[job];
            }
        }
        let by_lane = work.iter().zip(limits).map(|(work, limit)| {
            let limit = i64::from(*limit);
            work / limit + i64::from(work % limit > 0)
        });
        by_lane.chain(self.durations.iter().copied()).max().unwrap_or(0)
    }

    /// The work behind each job: with its own, that of the shorter ones on its datastore or host, by the limit there; of several
    /// the most.
    fn claims(&self, limits: &[u32]) -> Vec<i64> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_unstable_by_key(|job| (self.durations[*job], Reverse(*job)));
        let mut behind = vec![0_i64; limits.len()];
        let mut claims = vec![0; self.len()];
        for job in order {
            let duration = self.durations[job];
            let (_, lanes) = self.split(job);
            claims[job] = lanes.iter().fold(duration, |most, lane| {
                let lane = *lane as usize;
                behind[lane] += duration;
                most.max(behind[lane] / i64::from(limits[lane]))
            });
        }
        claims
    }

    /// When each job begins, if all begin as early as they can.
    pub(super) fn list(&self, limits: &[u32], occupied: &[Occupied]) -> Listed {
        let lane = |limit: &u32| Lane { limit: *limit, used: 0, waiting: BinaryHeap::new() };
        let mut run = Run {
            jobs: self,
            occupied,
            lanes: limits.iter().map(lane).collect(),
            awake: BTreeSet::new(),
            running: BinaryHeap::new(),
            starts: vec![0; self.len()],
            looks: 0,
        };
        for (at, occupied) in occupied.iter().enumerate() {
            run.occupy(&occupied.lanes, occupied.until, self.len() + at);
        }
        for (job, claim) in (0..).zip(self.claims(limits)) {
            run.turn((claim, Reverse(job)));
        }
        let mut now = 0;
        loop {
            while let Some(vcenter) = run.awake.pop_first() {
                run.begin(vcenter, now);
            }
            let Some(Reverse((then, _))) = run.running.peek() else { break };
            now = *then;
            while let Some(Reverse((then, ended))) = run.running.peek().copied()
                && then == now
            {
                run.running.pop();
                run.release(ended);
            }
        }
        Listed { starts: run.starts, looks: run.looks }
    }

    /// Whether no lane is overrun when the jobs begin so, beside what is occupied.
    pub(super) fn fits(&self, limits: &[u32], starts: &[i64], occupied: &[Occupied]) -> bool {
        let Some(until) = occupied.iter().map(|occupied| occupied.until).max() else { return true };
        let mut touched = vec![false; limits.len()];
        // Changes at each lane: what ends at an instant makes room for what begins at it.
        let mut changes: Vec<(u32, i64, i32)> = Vec::new();
        for occupied in occupied {
            for lane in &occupied.lanes {
                touched[*lane as usize] = true;
                changes.push((*lane, i64::MIN, 1));
                changes.push((*lane, occupied.until, -1));
            }
        }
        for job in (0..self.len()).filter(|job| starts[*job] < until) {
            for lane in self.lanes_of(job).iter().filter(|lane| touched[**lane as usize]) {
                changes.push((*lane, starts[job], 1));
                changes.push((*lane, starts[job].saturating_add(self.durations[job]), -1));
            }
        }
        changes.sort_unstable();
        let (mut lane, mut used) = (None, 0_i64);
        changes.iter().all(|(at, when, change)| {
            if lane != Some(*at) {
                (lane, used) = (Some(*at), 0);
            }
            used += i64::from(*change);
            // What is running already may be more than the limit; nothing can be done about that.
            *change < 0 || *when == i64::MIN || used <= i64::from(limits[*at as usize])
        })
    }
}

impl Run<'_> {
    fn occupy(&mut self, lanes: &[u32], until: i64, what: usize) {
        for lane in lanes {
            let lane = &mut self.lanes[*lane as usize];
            lane.used = lane.used.saturating_add(1);
        }
        self.running.push(Reverse((until, what)));
    }

    /// Gives a job its turn.
    fn turn(&mut self, claim: Claim) {
        let (vcenter, _) = self.jobs.split(claim.1.0 as usize);
        self.lanes[vcenter as usize].waiting.push(claim);
        self.awake.insert(vcenter);
    }

    /// Gives the first of those who wait at a lane its turn, if there is room.
    fn call(&mut self, lane: u32) {
        let lane = &mut self.lanes[lane as usize];
        if lane.has_room()
            && let Some(claim) = lane.waiting.pop()
        {
            self.turn(claim);
        }
    }

    /// Begins all that can begin of those who have a turn at a vCenter.
    fn begin(&mut self, vcenter: u32, now: i64) {
        while self.lanes[vcenter as usize].has_room() {
            let Some(claim) = self.lanes[vcenter as usize].waiting.pop() else { break };
            self.looks += 1;
            let jobs = self.jobs;
            let job = claim.1.0 as usize;
            let (_, lanes) = jobs.split(job);
            match lanes.iter().find(|lane| !self.lanes[**lane as usize].has_room()) {
                Some(full) => self.lanes[*full as usize].waiting.push(claim),
                None => {
                    self.starts[job] = now;
                    self.occupy(jobs.lanes_of(job), now.saturating_add(jobs.durations[job]), job);
                }
            }
            for lane in lanes {
                self.call(*lane);
            }
        }
    }

    fn release(&mut self, ended: usize) {
        let lanes = match ended.checked_sub(self.jobs.len()) {
            None => self.jobs.lanes_of(ended),
            Some(occupied) => &self.occupied[occupied].lanes,
        };
        for lane in lanes {
            let lane = &mut self.lanes[*lane as usize];
            lane.used = lane.used.saturating_sub(1);
        }
        if let Some((vcenter, others)) = lanes.split_last() {
            self.awake.insert(*vcenter);
            for lane in others {
                self.call(*lane);
            }
        }
    }
}
