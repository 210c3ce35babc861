use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn limits(per_datastore: u32, per_host: u32, per_vcenter: u32) -> Limits {
    let limit = |limit| NonZeroU32::new(limit).unwrap();
    Limits { per_datastore: limit(per_datastore), per_host: limit(per_host), per_vcenter: limit(per_vcenter) }
}

fn job(id: usize, duration: i64, datastore: u32) -> Job {
    Job {
        id,
        duration: minutes(duration),
        datastores: vec![Resource(datastore)],
        host: None,
        vcenter: Resource(1),
    }
}

fn running(datastore: u32, ends: Timestamp) -> Running {
    Running { datastores: vec![Resource(datastore)], host: None, vcenter: Resource(1), ends }
}

fn still(job: &Job, slot: &Slot) -> Running {
    Running { datastores: job.datastores.clone(), host: job.host, vcenter: job.vcenter, ends: slot.finish }
}

/// Everything that a job or what is running uses, each with its limit.
fn uses(
    datastores: &[Resource],
    host: Option<Resource>,
    vcenter: Resource,
    limits: &Limits,
) -> HashSet<(u8, u32, u32)> {
    let datastores = datastores.iter().map(|datastore| (0, datastore.0, limits.per_datastore.get()));
    let host = host.map(|host| (1, host.0, limits.per_host.get()));
    datastores.chain(host).chain([(2, vcenter.0, limits.per_vcenter.get())]).collect()
}

/// The most that is ever at work on each resource, told apart from the planner: at the begin of each slot, who is there?
fn overrun(
    jobs: &[Job],
    running: &[Running],
    limits: &Limits,
    now: Timestamp,
    slots: &[Slot],
) -> Option<String> {
    let mut changes = HashMap::<_, Vec<(Timestamp, i64)>>::new();
    for running in running {
        let ends = if running.ends > now { running.ends } else { now + OVERDUE };
        for resource in uses(&running.datastores, running.host, running.vcenter, limits) {
            changes.entry(resource).or_default().extend([(Timestamp::MIN, 1), (ends, -1)]);
        }
    }
    for (job, slot) in jobs.iter().zip(slots) {
        for resource in uses(&job.datastores, job.host, job.vcenter, limits) {
            changes.entry(resource).or_default().extend([(slot.start, 1), (slot.finish, -1)]);
        }
    }
    changes.into_iter().find_map(|(resource, mut changes)| {
        changes.sort_unstable();
        let mut used = 0;
        changes.iter().find_map(|(time, change)| {
            used += change;
            let over = *change > 0 && *time != Timestamp::MIN && used > i64::from(resource.2);
            over.then(|| format!("{used} on {resource:?} at {time}"))
        })
    })
}

/// What holds of every schedule.
fn check(
    jobs: &[Job],
    running: &[Running],
    limits: &Limits,
    from: Timestamp,
    now: Timestamp,
    plan: &Schedule,
) {
    let ids: Vec<usize> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(plan.slots.iter().map(|slot| slot.id).collect::<Vec<_>>(), ids);
    for (job, slot) in jobs.iter().zip(&plan.slots) {
        let duration = job.duration.clamp(SHORTEST, LONGEST);
        let planned = slot.finish.duration_since(slot.start);
        assert!(planned >= duration && planned - duration < SignedDuration::from_millis(1), "{slot:?}");
        assert!(slot.start >= from, "{slot:?} before {from}");
    }
    assert_eq!(overrun(jobs, running, limits, now, &plan.slots), None);
    if let Some(last) = plan.slots.iter().map(|slot| slot.finish).max() {
        assert_eq!(plan.finish, last);
        assert_eq!(plan.begin, plan.slots.iter().map(|slot| slot.start).min().unwrap());
        assert_eq!(plan.makespan, plan.finish.duration_since(plan.begin));
    }
}

/// Numbers that are the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// Fleets as they are: most snapshots take seconds, some many minutes; a tenth of the VMs has disks on a second datastore;
    /// the datastores are not filled evenly.
    fn fleet(&mut self, vms: usize, datastores: u64, hosts: u64, vcenters: u64) -> Vec<Job> {
        let mut jobs = Vec::with_capacity(vms);
        for id in 0..vms {
            let vcenter = self.roll(vcenters);
            let datastore = |dice: &mut Self| {
                // The lower of two: the first is used about twice as much as the middle one.
                let place = dice.roll(datastores).min(dice.roll(datastores * 2));
                Resource(u32::try_from(vcenter * datastores + place).unwrap())
            };
            let mut on = vec![datastore(self)];
            if self.roll(10) == 0 {
                on.push(datastore(self));
            }
            let seconds = match self.roll(10) {
                0 => 300 + self.roll(900),
                1..=3 => 60 + self.roll(240),
                _ => 10 + self.roll(50),
            };
            jobs.push(Job {
                id,
                duration: SignedDuration::from_secs(i64::try_from(seconds).unwrap()),
                datastores: on,
                host: Some(Resource(u32::try_from(vcenter * hosts + self.roll(hosts)).unwrap())),
                vcenter: Resource(u32::try_from(vcenter).unwrap()),
            });
        }
        jobs
    }
}

#[test]
fn it_is_planned_back_from_the_deadline() {
    let (now, deadline) = (at("2026-11-29T00:00:00Z"), at("2026-11-29T02:00:00.5Z"));
    let jobs = [job(7, 10, 1), job(3, 30, 1), job(5, 20, 2)];
    let plan = plan_back(&jobs, &[], &limits(1, 9, 9), deadline, now, now);
    check(&jobs, &[], &limits(1, 9, 9), now, now, &plan);
    let starts: Vec<_> = plan.slots.iter().map(|slot| slot.start).collect();
    let before = |back: i64| deadline - minutes(back);
    assert_eq!(starts, [before(40), before(30), before(20)]);
    assert_eq!((plan.begin, plan.finish, plan.makespan), (before(40), deadline, minutes(40)));
    assert!(plan.late.is_empty());
}

#[test]
fn without_enough_time_it_begins_at_once_and_tells_who_is_late() {
    let now = at("2026-11-29T00:00:00Z");
    let jobs = [job(7, 10, 1), job(3, 30, 1), job(5, 20, 2)];
    for (earliest, deadline, begin, late) in [
        // Just enough.
        (now, now + minutes(40), now, vec![]),
        (now, now + minutes(39), now, vec![7]),
        (now + minutes(5), now + minutes(40), now + minutes(5), vec![7]),
        (now - minutes(500), now + minutes(40), now, vec![]),
        // The deadline is over.
        (now, now - minutes(1), now, vec![7, 3, 5]),
        (now + minutes(90), now + minutes(60), now + minutes(90), vec![7, 3, 5]),
    ] {
        let plan = plan_back(&jobs, &[], &limits(1, 9, 9), deadline, earliest, now);
        check(&jobs, &[], &limits(1, 9, 9), earliest.max(now), now, &plan);
        assert_eq!((plan.begin, &plan.late), (begin, &late), "{earliest} {deadline}");
    }
}

#[test]
fn what_is_running_counts() {
    let now = at("2026-11-29T00:00:00Z");
    let jobs = [job(1, 10, 1), job(2, 10, 2)];
    let limits = limits(1, 9, 9);
    let starts = |running: &[Running], deadline: i64| -> Vec<i64> {
        let plan = plan_back(&jobs, running, &limits, now + minutes(deadline), now, now);
        check(&jobs, running, &limits, now, now, &plan);
        plan.slots.iter().map(|slot| slot.start.duration_since(now).as_mins()).collect()
    };
    // It has ended by then.
    assert_eq!(starts(&[running(1, now + minutes(50))], 60), [50, 50]);
    // It has not: no more waiting.
    assert_eq!(starts(&[running(1, now + minutes(51))], 60), [51, 0]);
    // It is nowhere in the way.
    assert_eq!(starts(&[running(3, now + minutes(500))], 60), [50, 50]);
    // It should have ended.
    assert_eq!(starts(&[running(1, now - minutes(9))], 60), [50, 50]);
    assert_eq!(starts(&[running(1, now - minutes(9))], 10), [1, 0]);
    // More than the limit allows by now.
    let crowd = [1, 1, 3].map(|minute| running(1, now + minutes(minute)));
    assert_eq!(starts(&crowd, 5), [3, 0]);
}

#[test]
fn a_plan_can_be_carried_out_as_it_is() {
    let (now, deadline) = (at("2026-11-29T00:00:00Z"), at("2026-11-29T03:00:00Z"));
    let limits = limits(2, 3, 25);
    let jobs = Dice(7).fleet(300, 10, 20, 1);
    let plan = plan_back(&jobs, &[], &limits, deadline, now, now);
    assert!(plan.begin > now && plan.late.is_empty());
    let mut begins: Vec<Timestamp> = plan.slots.iter().map(|slot| slot.start).collect();
    begins.sort_unstable();
    begins.dedup();
    assert!(begins.len() > 100);
    for now in begins {
        let with = |wanted: fn(&Slot, Timestamp) -> bool| {
            jobs.iter().zip(&plan.slots).filter(move |(_, slot)| wanted(slot, now))
        };
        let active: Vec<Running> = with(|slot, now| slot.start < now && slot.finish > now)
            .map(|(job, slot)| still(job, slot))
            .collect();
        let waiting = with(|slot, now| slot.start >= now).map(|(job, slot)| (job, slot.start));
        let due: Vec<usize> = with(|slot, now| slot.start == now).map(|(job, _)| job.id).collect();
        assert_eq!(startable(waiting, &active, &limits, now), due, "{now}");
    }
}

#[test]
fn planning_anew_all_the_time_loses_little() {
    // Every ten seconds, by someone who forgets the plan that was made before.
    let deadline = at("2026-11-29T03:00:00Z");
    let limits = limits(2, 3, 25);
    let mut jobs = Dice(3).fleet(300, 10, 20, 1);
    let mut now = deadline - minutes(120);
    let mut active: Vec<(Job, Slot)> = Vec::new();
    let (mut first, mut last) = (deadline, now);
    while !jobs.is_empty() {
        active.retain(|(_, slot)| slot.finish > now);
        let running: Vec<Running> = active.iter().map(|(job, slot)| still(job, slot)).collect();
        let plan = plan_back(&jobs, &running, &limits, deadline, deadline - minutes(120), now);
        let due = startable(
            jobs.iter().zip(&plan.slots).map(|(job, slot)| (job, slot.start)),
            &running,
            &limits,
            now,
        );
        for id in due {
            let job = jobs.remove(jobs.iter().position(|job| job.id == id).unwrap());
            let slot = Slot { id, start: now, finish: now + job.duration };
            (first, last) = (first.min(now), last.max(slot.finish));
            active.push((job, slot));
        }
        now += SignedDuration::from_secs(10);
    }
    let bound = lower_bound(&Dice(3).fleet(300, 10, 20, 1), &limits);
    assert!(last.duration_since(deadline) < minutes(2), "{last}");
    assert!(deadline.duration_since(first) < bound * 3 / 2, "{first}, bound {bound:?}");
}

#[test]
fn the_makespan_is_near_the_lower_bound() {
    let now = at("2026-11-29T00:00:00Z");
    let far = at("2026-12-29T00:00:00Z");
    for limits in [limits(2, 4, 50), limits(4, 2, 20), limits(1, 1, 15), limits(3, 8, 8), limits(4, 4, 100)] {
        for seed in 0..4 {
            let jobs = Dice(seed).fleet(1000, 20, 40, 1);
            let bound = lower_bound(&jobs, &limits);
            for deadline in [far, now] {
                let plan = plan_back(&jobs, &[], &limits, deadline, now, now);
                check(&jobs, &[], &limits, now, now, &plan);
                let ratio = plan.makespan.as_secs_f64() / bound.as_secs_f64();
                assert!((1.0..=1.15).contains(&ratio), "{ratio} with seed {seed} and {limits:?}");
            }
        }
    }
}

#[test]
fn many_short_ones_on_one_datastore_do_not_wait_until_the_end() {
    // As much work for the busiest datastore as for the vCenter: it must never be idle.
    let now = at("2026-11-29T00:00:00Z");
    let limits = limits(4, 100, 16);
    let mut jobs: Vec<Job> = (0..600).map(|id| job(id, 1, 0)).collect();
    jobs.extend((600..780).map(|id| job(id, 10, 1 + u32::try_from(id % 19).unwrap())));
    let plan = plan_back(&jobs, &[], &limits, now, now, now);
    check(&jobs, &[], &limits, now, now, &plan);
    let ratio = plan.makespan.as_secs_f64() / lower_bound(&jobs, &limits).as_secs_f64();
    assert!((1.0..=1.15).contains(&ratio), "{ratio}");
}

#[test]
fn the_effort_grows_with_the_jobs_only() {
    for (vms, datastores, hosts, vcenters, limits) in [
        (45_000, 200, 1500, 1, limits(4, 8, 100)),
        (45_000, 100, 700, 2, limits(2, 2, 640)),
        (45_000, 200, 1500, 1, limits(1, 1, 640)),
        // One host, as if none were known.
        (5_000, 200, 1, 1, limits(4, 8, 100)),
        (5_000, 2, 100, 1, limits(1, 1, 8)),
    ] {
        let jobs = Dice(1).fleet(vms, datastores, hosts, vcenters);
        let mut index = Index::default();
        let (dense, _) = index.dense(&jobs, &limits);
        let looks = dense.list(&index.limits, &[]).looks;
        assert!(looks >= vms && looks < 8 * vms, "{looks} looks at {vms} VMs with {limits:?}");
    }
}

#[test]
fn the_bound_is_of_the_busiest() {
    let jobs = [job(1, 10, 1), job(2, 10, 1), job(3, 10, 1), job(4, 10, 2)];
    assert_eq!(lower_bound(&jobs, &limits(1, 1, 9)), minutes(30));
    assert_eq!(lower_bound(&jobs, &limits(2, 1, 9)), minutes(15));
    assert_eq!(lower_bound(&jobs, &limits(9, 1, 9)), minutes(10));
    assert_eq!(lower_bound(&jobs, &limits(9, 1, 2)), minutes(20));
    let host = |id| Job { host: Some(Resource(1)), ..job(id, 10, u32::try_from(id).unwrap()) };
    assert_eq!(lower_bound(&[host(1), host(2), host(3)], &limits(1, 2, 9)), minutes(15));
    // A datastore that is named twice counts once.
    let twice = Job { datastores: vec![Resource(1); 2], ..job(1, 10, 1) };
    assert_eq!(lower_bound(&[twice.clone(), job(2, 10, 1)], &limits(1, 1, 9)), minutes(20));
    assert_eq!(
        plan_back(
            &[twice],
            &[],
            &limits(1, 1, 1),
            at("2026-11-29T00:00:00Z"),
            Timestamp::MIN,
            Timestamp::MIN
        )
        .makespan,
        minutes(10)
    );
    assert_eq!(lower_bound(&[], &limits(1, 1, 1)), SignedDuration::ZERO);
}

#[test]
fn odd_numbers_do_no_harm() {
    let now = at("2026-11-29T00:00:00Z");
    let lengths = [SignedDuration::MIN, SignedDuration::ZERO, SignedDuration::MAX, minutes(1)];
    let jobs: Vec<Job> =
        lengths.iter().zip(0..).map(|(length, id)| Job { duration: *length, ..job(id, 1, 1) }).collect();
    let some = [running(1, Timestamp::MAX), running(2, Timestamp::MIN), running(1, now)];
    for running in [&some[..0], &some] {
        for times in [
            [Timestamp::MIN, Timestamp::MAX, now],
            [Timestamp::MAX, Timestamp::MIN, now],
            [Timestamp::MAX, Timestamp::MAX, Timestamp::MAX],
            [Timestamp::MIN, Timestamp::MIN, Timestamp::MIN],
            [now, Timestamp::MIN, Timestamp::MIN],
        ] {
            let [deadline, earliest, now] = times;
            let plan = plan_back(&jobs, running, &limits(1, 1, 1), deadline, earliest, now);
            assert_eq!(plan.slots.len(), 4);
            assert!(
                plan.slots.iter().all(|slot| slot.start >= earliest.max(now) && slot.finish >= slot.start)
            );
        }
    }
    let empty = plan_back(&[], &some, &limits(1, 1, 1), now, now, now);
    assert_eq!(
        (empty.slots.len(), empty.begin, empty.finish, empty.makespan),
        (0, now, now, SignedDuration::ZERO)
    );
}

fn resources() -> impl Strategy<Value = (Vec<Resource>, Option<Resource>, Resource)> {
    let datastores = prop::collection::vec((0_u32..5).prop_map(Resource), 0..4);
    (datastores, prop::option::of((0_u32..4).prop_map(Resource)), (0_u32..2).prop_map(Resource))
}

fn jobs() -> impl Strategy<Value = Vec<Job>> {
    prop::collection::vec((resources(), -1_i64..5000), 0..40).prop_map(|all| {
        let jobs = all.into_iter().enumerate().map(|(id, ((datastores, host, vcenter), length))| {
            // Few lengths, so that many are alike.
            let duration = SignedDuration::from_millis(length / 1000 * 60_000 + length % 2);
            Job { id: id * 7 % 41, duration, datastores, host, vcenter }
        });
        jobs.collect()
    })
}

fn some_running(now: Timestamp) -> impl Strategy<Value = Vec<Running>> {
    prop::collection::vec((resources(), -10_i64..60), 0..8).prop_map(move |all| {
        let running = all.into_iter().map(|((datastores, host, vcenter), ends)| Running {
            datastores,
            host,
            vcenter,
            ends: now + minutes(ends),
        });
        running.collect()
    })
}

fn some_limits() -> impl Strategy<Value = Limits> {
    (1_u32..4, 1_u32..4, 1_u32..7).prop_map(|(datastore, host, vcenter)| limits(datastore, host, vcenter))
}

const NOW: Timestamp = Timestamp::constant(1_796_000_000, 123_456_789);

proptest! {
    #[test]
    fn limits_hold_at_every_instant(
        jobs in jobs(),
        running in some_running(NOW),
        limits in some_limits(),
        deadline in -60_i64..300,
        earliest in -60_i64..60,
    ) {
        let (deadline, earliest) = (NOW + minutes(deadline), NOW + minutes(earliest));
        let plan = plan_back(&jobs, &running, &limits, deadline, earliest, NOW);
        check(&jobs, &running, &limits, earliest.max(NOW), NOW, &plan);
        let late: Vec<usize> =
            plan.slots.iter().filter(|slot| slot.finish > deadline).map(|slot| slot.id).collect();
        prop_assert_eq!(&plan.late, &late);
        // Whoever could be done in time by a plan back from the deadline is.
        if running.is_empty() && plan.begin > earliest.max(NOW) {
            prop_assert_eq!(plan.finish, deadline);
        }
        if running.is_empty() {
            prop_assert!(plan.makespan >= lower_bound(&jobs, &limits));
        }
    }

    #[test]
    fn the_order_in_which_jobs_are_given_does_not_matter(
        (jobs, shuffled) in jobs().prop_flat_map(|jobs| (Just(jobs.clone()), Just(jobs).prop_shuffle())),
        running in some_running(NOW),
        limits in some_limits(),
        deadline in 0_i64..300,
    ) {
        let slots = |jobs: &[Job]| {
            let plan = plan_back(jobs, &running, &limits, NOW + minutes(deadline), NOW, NOW);
            plan.slots.into_iter().map(|slot| (slot.id, slot)).collect::<HashMap<_, _>>()
        };
        prop_assert_eq!(slots(&jobs), slots(&shuffled));
    }

    #[test]
    fn a_forward_plan_leaves_nobody_waiting_for_nothing(jobs in jobs(), limits in some_limits()) {
        // One vCenter for each datastore and host, as it is.
        let jobs: Vec<Job> = jobs.into_iter().map(|job| Job { vcenter: Resource(0), ..job }).collect();
        let plan = plan_back(&jobs, &[], &limits, NOW, NOW, NOW);
        check(&jobs, &[], &limits, NOW, NOW, &plan);
        // At the begin of each slot and just before it, no job that begins later would have had room.
        let mut times: Vec<Timestamp> = plan.slots.iter().flat_map(|slot| [slot.start, slot.finish]).collect();
        times.sort_unstable();
        for time in times {
            let at_work: Vec<Running> = jobs
                .iter()
                .zip(&plan.slots)
                .filter(|(_, slot)| slot.start <= time && time < slot.finish)
                .map(|(job, slot)| still(job, slot))
                .collect();
            let later = jobs.iter().zip(&plan.slots).filter(|(_, slot)| slot.start > time);
            let could = startable(later.map(|(job, _)| (job, time)), &at_work, &limits, time);
            prop_assert_eq!(could, Vec::<usize>::new(), "at {}", time);
        }
    }

    #[test]
    fn whoever_may_start_starts(jobs in jobs(), running in some_running(NOW), limits in some_limits(), due in 0_usize..40) {
        let waiting = || jobs.iter().enumerate().map(|(at, job)| {
            (job, if at < due { NOW } else { NOW + SignedDuration::from_nanos(1) })
        });
        let started: HashSet<usize> = startable(waiting(), &running, &limits, NOW).into_iter().collect();
        let mut used = HashMap::<_, u32>::new();
        for running in &running {
            for resource in uses(&running.datastores, running.host, running.vcenter, &limits) {
                *used.entry(resource).or_default() += 1;
            }
        }
        for (job, start) in waiting() {
            let resources = uses(&job.datastores, job.host, job.vcenter, &limits);
            let room = resources.iter().all(|resource| used.get(resource).copied().unwrap_or(0) < resource.2);
            prop_assert_eq!(started.contains(&job.id), room && start <= NOW, "{:?}", job);
            if started.contains(&job.id) {
                for resource in resources {
                    *used.entry(resource).or_default() += 1;
                }
            }
        }
    }
}
