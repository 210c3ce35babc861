use super::fixture::*;

fn wanted(texts: &[&str], vm: &Vm) -> String {
    lines(&rules(texts).desired(vm))
}

#[test]
fn a_category_an_attribute_and_facts() {
    let vm = vm().tag("Env", "prod").tag("Other", "x").attribute("Owner", "Web Team");
    assert_eq!(
        wanted(
            &[
                "category = 'ENV'",
                "category = 'env'\nkey = 'vsphere:{category}'",
                "attribute = 'owner'",
                "attribute = 'Owner'\nkey = '{attribute}.name'",
                "attribute = 'Missing'",
                "category = 'Gone'",
                "value = '{vcenter}/{datacenter}/{cluster}'\nkey = 'place'",
                "value = '{guest-family} {power-state} {template}'\nkey = 'words'",
                "value = 'fixed'\nkey = 'fixed'",
                "value = '{cluster}'\nkey = 'cluster'\nmap = [['g*', 'gold']]",
            ],
            &vm
        ),
        "ENV=prod\nvsphere:env=prod\nowner=Web Team\nOwner.name=Web Team\nplace=dc1/Frankfurt 1/Gold\nwords=linux on no\nfixed=fixed\ncluster=gold"
    );
}
