//! Identifiers of this module, so that one kind can never be passed for another.
//!
//! Their text comes from outside. Nothing here judges it: where one becomes a part of an id or a name, it is encoded there.

use crate::text_ids;

text_ids! {
    /// What Security Hub calls a finding of ours or of another product (`Id`).
    FindingId,
    /// A rule, or another thing that makes problems: `vm-unmanaged`, `old-snapshot`, the id of a check.
    RuleId,
    /// Rules that are told together when findings are folded: `vm-hardening`, `protection`.
    Family,
    /// The installation of vmbridge that a finding belongs to.
    Owner,
    /// The UUID of a vCenter (`about.instanceUuid`).
    VcenterId,
    /// The value of a managed object reference; means something in its vCenter only.
    MoRef,
    /// The instance UUID of a VM (`config.instanceUuid`).
    InstanceId,
    /// A hybrid managed node, `mi-…`.
    NodeId,
    /// An AWS account.
    AccountId,
    /// An AWS Region.
    Region,
}

impl NodeId {
    /// Whether it has the form of a hybrid node, `mi-` and 17 hexadecimal digits. Everything else, EC2 instances above all, is
    /// none of our business.
    #[must_use]
    pub fn is_hybrid(&self) -> bool {
        self.0.strip_prefix("mi-").is_some_and(|rest| {
            rest.len() == 17 && rest.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        })
    }
}
