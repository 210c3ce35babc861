//! Enrolment with something real: the guest is a Debian in a container, the installer really runs, and what it installs
//! really registers. vCenter is VMware's simulator.

use vmbridge_e2e::contained::Contained;

#[tokio::test]
async fn a_real_guest_is_enrolled() {
    let estate = Contained::start(1, str::to_owned, "").await.unwrap();
    let guest = &estate.guests[0];
    println!("{:#}", estate.planned(guest).await.unwrap());
    let enrolled = estate.vmbridge(&["enroll", &guest.name]).unwrap().run().await.unwrap();
    println!("{}\n{}", enrolled.stdout, enrolled.stderr);
    println!("{}", std::fs::read_to_string(estate.vcsim.endpoints_file().with_file_name("vcsim.log")).unwrap());
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
}
