//! Names of things in AWS. Each is a type of its own, so that they cannot be mixed up.

use mappings::text_ids;

text_ids! {
    /// Id of a managed node: `mi-` and 17 hexadecimal digits.
    NodeId,
    /// Id of an activation: a UUID.
    ActivationId,
    /// Id of a maintenance window: `mw-` and 17 hexadecimal digits.
    WindowId,
    /// Id of one execution of a maintenance window: a UUID.
    WindowExecutionId,
    /// Id of a task's part of one execution of a maintenance window: a UUID.
    TaskExecutionId,
    /// Id of a target that is registered with a maintenance window: a UUID.
    WindowTargetId,
    /// Id of a task that is registered with a maintenance window: a UUID.
    WindowTaskId,
    /// ARN of a product of Security Hub, which findings are sent under.
    ProductArn,
    /// Name of an `[[aws]]` target in the configuration.
    TargetName,
    /// An account and a Region, `123456789012/eu-central-1`. What is remembered of AWS is remembered by this and not by the
    /// name of a target, which people change.
    Place,
}

impl NodeId {
    /// Reads the id of a hybrid node, and nothing else.
    #[must_use]
    pub fn of_managed_instance(text: &str) -> Option<Self> {
        is_hexadecimal(text.strip_prefix("mi-")?).then(|| Self::from(text))
    }
}

impl WindowId {
    /// Reads the id of a maintenance window, and nothing else.
    #[must_use]
    pub fn of_window(text: &str) -> Option<Self> {
        is_hexadecimal(text.strip_prefix("mw-")?).then(|| Self::from(text))
    }
}

/// The partition of AWS that a Region belongs to, the second part of every ARN there.
#[must_use]
pub fn partition_of(region: &str) -> &'static str {
    const PARTITIONS: &[(&str, &str)] = &[
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// Whether these are the 17 digits of an id.
fn is_hexadecimal(digits: &str) -> bool {
    digits.len() == 17 && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

impl Place {
    /// The place of an account and a Region.
    #[must_use]
    pub fn new(account: &str, region: &str) -> Self {
        Self(format!("{account}/{region}").into())
    }

    /// The account's number.
    #[must_use]
    pub fn account(&self) -> &str {
        self.0.split_once('/').map_or("", |(account, _)| account)
    }

    /// The Region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, region)| region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hybrid_nodes_are_nodes() {
        assert!(NodeId::of_managed_instance("mi-0123456789abcdef0").is_some());
        for other in
            ["i-0123456789abcdef0", "mi-0123456789abcdef", "mi-0123456789ABCDEF0", "mi-0123456789abcdefg", ""]
        {
            assert!(NodeId::of_managed_instance(other).is_none(), "{other}");
        }
    }

    #[test]
    fn only_windows_are_windows() {
        assert!(WindowId::of_window("mw-0c50858d01EXAMPLE").is_none());
        assert!(WindowId::of_window("mw-0123456789abcdef0").is_some());
        assert!(WindowId::of_window("mi-0123456789abcdef0").is_none());
    }

    #[test]
    fn each_region_is_in_its_partition() {
        for (region, partition) in [
            ("eu-central-1", "aws"),
            ("us-east-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(partition_of(region), partition, "{region}");
        }
    }

    #[test]
    fn a_place_has_two_parts() {
        let place = Place::new("111122223333", "eu-central-1");
        assert_eq!((place.account(), place.region()), ("111122223333", "eu-central-1"));
    }
}
