use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

fn example(name: &str) -> Result<Config, ConfigErrors> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    load(&path, &environment(&[("CREDENTIALS_DIRECTORY", "/run/credentials/vmbridge.service")]))
}

#[test]
fn every_example_loads() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".toml") {
            example(&name).unwrap_or_else(|errors| panic!("{errors}"));
            names.push(name);
        }
    }
    assert!(names.iter().any(|name| name == "vmbridge.toml") && names.iter().any(|name| name == "demo.toml"));
}
