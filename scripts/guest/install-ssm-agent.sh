#!/bin/sh
# Installs and registers SSM Agent in a Linux guest. vmbridge puts this file there and starts it:
#
#   install-ssm-agent.sh STEP DIR      STEP: preflight, prepare, register, restart, cleanup
#
# What it has to know is in DIR/parameters, lines NAME=value. The file is opened, deleted, and only then read; it is deleted as
# well whenever it is not used. DIR and the file have to belong to root or to the account that works here, and nobody else may
# write to DIR or read the file; a link is neither. (Where DIR itself is a link, nothing behind it is touched.)
# Where no file can be put into the guest, the same lines are in the variable VMBRIDGE_PARAMETERS, which is used when there is
# no such file and is in no environment of a program that is started here; DIR is made if it is not there. With sudo, the
# variable has to be allowed through: `Defaults:vmbridge env_keep += "VMBRIDGE_PARAMETERS"`.
#
# How it ended is the exit code (see mappings/defaults/guest-reasons.toml), for which no file has to be read. What it found
# and did is in DIR/result.json as well, whatever happens, but for a DIR that cannot be trusted (40).
# It can be started again after any interruption. No secret is in an argument list but that of the agent itself, which takes
# the activation in no other way; the activation is good for one registration and an hour.
#
# POSIX sh. Values are never evaluated by the shell.
set -u
umask 077
# Before any other program is started.
handed=${VMBRIDGE_PARAMETERS-}
unset VMBRIDGE_PARAMETERS
newline='
'
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin
export LC_ALL PATH

step=${1:-}
dir=${2:-}
reason=ok
detail=
agent=
agent_version=
running=false
node=
node_region=
os_id=
os_version=
os_name=
arch=
family=
platform=
file=
free=0
selinux=

# --- reporting --------------------------------------------------------------------------------------------------------

# Text as the inside of a JSON string: short, one line, no control characters.
json() {
    printf '%s' "$1" | tr '\000-\037\177' ' ' | tr '\200-\377' '?' | cut -c1-300 | sed 's/\\/\\\\/g; s/"/\\"/g'
}

report() {
    code=$1
    [ -d "$dir" ] || return 0
    {
        printf '{"v":1,"step":"%s","code":%s,"reason":"%s","detail":"%s",' "$(json "$step")" "$code" "$reason" "$(json "$detail")"
        printf '"os":{"id":"%s","version":"%s","name":"%s"},' "$(json "$os_id")" "$(json "$os_version")" "$(json "$os_name")"
        printf '"arch":"%s","family":"%s","diskFreeMiB":%s,"clock":%s,' "$(json "$arch")" "$family" "$free" "$(date +%s)"
        if [ -n "$agent" ]; then
            printf '"agent":{"installed":true,"version":"%s","running":%s}' "$(json "$agent_version")" "$running"
        else
            printf '"agent":{"installed":false}'
        fi
        if [ -n "$node" ]; then
            printf ',"registration":{"node":"%s","region":"%s"}' "$(json "$node")" "$(json "$node_region")"
        fi
        if [ -n "$selinux" ]; then
            printf ',"selinux":"%s"' "$(json "$selinux")"
        fi
        printf '}\n'
    } >"$dir/result.json.new"
    give result.json.new
    mv -f "$dir/result.json.new" "$dir/result.json"
}

# Whose directory it is has to be able to read what is in it: with sudo that is somebody else.
give() {
    # shellcheck disable=SC2012 # The name has no special characters; `stat` differs between systems.
    owner=$(ls -ldn "$dir" | awk '{ print $3 ":" $4 }')
    chown "$owner" "$dir/$1" 2>/dev/null || true
}

finish() {
    rm -f "$dir/parameters"
    code=$1
    reason=$2
    detail=${3:-}
    report "$code"
    trap - EXIT
    exit "$code"
}

progress() {
    printf '%s\n' "$1" >>"$dir/progress"
    give progress
}

# --- one at a time ----------------------------------------------------------------------------------------------------

# A lock that the kernel lets go of when its holders end, however they do. The agent that registers holds it too: whoever
# comes after an installer that was killed waits for it. Programs that start services do not get it, as those would keep it.
# Where there is no flock, what must not run twice is left to the package manager and to AWS.
lock() {
    # The directory itself is locked: no file of ours is to stay.
    place=/run
    [ -d "$place" ] || place=/var/run
    exec 9<"$place"
    command -v flock >/dev/null 2>&1 || return 0
    tries=0
    until flock -n 9; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || finish 22 package-manager-busy "another installation of the agent is under way"
        sleep 1
    done
}

# --- parameters -------------------------------------------------------------------------------------------------------

region=
activation_id=
activation_code=
source=download
package_url=
package_sha256=
signature_url=
signature_key=
package_file=
proxy=
no_proxy_list=
ca_file=
agent_config=
endpoints=
minimum_version=
reregister=false
reinstall=false
minimum_disk=300

take() {
    case $1 in
        REGION) region=$2 ;;
        ACTIVATION_ID) activation_id=$2 ;;
        ACTIVATION_CODE) activation_code=$2 ;;
        SOURCE) source=$2 ;;
        PACKAGE_URL) package_url=$2 ;;
        PACKAGE_SHA256) package_sha256=$2 ;;
        SIGNATURE_URL) signature_url=$2 ;;
        SIGNATURE_KEY) signature_key=$2 ;;
        PACKAGE_FILE) package_file=$2 ;;
        PROXY) proxy=$2 ;;
        NO_PROXY) no_proxy_list=$2 ;;
        CA_FILE) ca_file=$2 ;;
        AGENT_CONFIG) agent_config=$2 ;;
        ENDPOINTS) endpoints=$2 ;;
        MINIMUM_VERSION) minimum_version=$2 ;;
        REREGISTER) reregister=$2 ;;
        REINSTALL) reinstall=$2 ;;
        MINIMUM_DISK_MIB) minimum_disk=$2 ;;
        # Whose signature the package for Windows has to have.
        SIGNATURE_SUBJECT) ;;
        *) finish 40 bad-parameters "the parameter is not known" ;;
    esac
}

# Whether a user number is that of root or of the account that works here, which with sudo is the one that called it.
ours() {
    [ "$1" = 0 ] || [ "$1" = "$(id -u)" ] || [ "$1" = "${SUDO_UID:-0}" ]
}

# The directory, made if there is nothing of its name.
take_directory() {
    case $dir in
        /*) ;;
        *) exit 40 ;;
    esac
    # Without -p: it fails where there is anything already, a link too.
    mkdir -m 700 "$dir" 2>/dev/null
    # shellcheck disable=SC2012 # `stat` differs between systems; the first fields are all that is used.
    facts=$(ls -ldn "$dir" 2>/dev/null | awk '{ print $1, $3 }')
    case $facts in
        d????[!w]??[!w]*[!+]' '*) ours "${facts#* }" && return ;;
        d*) ;;
        *) exit 40 ;;
    esac
    # It is a directory, but not for us alone: the activation does not stay there, and nothing is written there.
    rm -f "$dir/parameters"
    exit 40
}

take_line() {
    case $1 in
        *=*) take "${1%%=*}" "${1#*=}" ;;
        '') ;;
        *) finish 40 bad-parameters "a line of the parameters is not NAME=value" ;;
    esac
}

read_parameters() {
    # shellcheck disable=SC2012 # `stat` differs between systems; the first fields are all that is used.
    facts=$(ls -ldn "$dir/parameters" 2>/dev/null | awk '{ print $1, $2, $3 }')
    case $facts in
        '')
            [ -n "$handed" ] || [ "$step" = restart ] || finish 40 bad-parameters "there are no parameters"
            # Not as a here-document, which some shells put into a file.
            while [ -n "$handed" ]; do
                take_line "${handed%%"$newline"*}"
                case $handed in
                    *"$newline"*) handed=${handed#*"$newline"} ;;
                    *) handed= ;;
                esac
            done
            ;;
        # One name, a file, and nothing for others: + would be a list of more of them.
        -???------' 1 '* | -???------[!+]' 1 '*)
            ours "${facts##* }" || finish 40 bad-parameters "the parameters belong to somebody else"
            exec 3<"$dir/parameters"
            rm -f "$dir/parameters"
            while IFS= read -r line || [ -n "$line" ]; do
                take_line "$line"
            done <&3
            exec 3<&-
            ;;
        *) finish 40 bad-parameters "the parameters are not a file that only its owner can read" ;;
    esac
    case $source in
        download | push | present) ;;
        *) finish 40 bad-parameters "SOURCE is none of download, push, present" ;;
    esac
    case $region in
        *[!a-z0-9-]*) finish 40 bad-parameters "REGION is not the name of a Region" ;;
    esac
    case $minimum_disk in
        '' | *[!0-9]*) finish 40 bad-parameters "MINIMUM_DISK_MIB is not a number" ;;
    esac
}

# --- what there is ----------------------------------------------------------------------------------------------------

value_of() {
    sed -n "s/^$1=//p" /etc/os-release 2>/dev/null | head -n 1 | sed 's/^"\(.*\)"$/\1/; s/^'"'"'\(.*\)'"'"'$/\1/'
}

look() {
    os_id=$(value_of ID)
    os_version=$(value_of VERSION_ID)
    os_name=$(value_of PRETTY_NAME)
    arch=$(uname -m)
    case $arch in
        x86_64 | amd64) machine=amd64 ;;
        aarch64 | arm64) machine=arm64 ;;
        *) machine= ;;
    esac
    unit=amazon-ssm-agent
    if command -v snap >/dev/null 2>&1 && [ -d /snap/amazon-ssm-agent ]; then
        family=snap
        unit=snap.amazon-ssm-agent.amazon-ssm-agent
    elif command -v dpkg >/dev/null 2>&1; then
        family=deb
        platform=debian_$machine
        file=amazon-ssm-agent.deb
    elif command -v rpm >/dev/null 2>&1; then
        family=rpm
        platform=linux_$machine
        file=amazon-ssm-agent.rpm
    fi
    free=$(df -Pk /usr 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
    case $free in '' | *[!0-9]*) free=0 ;; esac
    if command -v getenforce >/dev/null 2>&1; then
        selinux=$(getenforce 2>/dev/null | tr '[:upper:]' '[:lower:]')
    fi
    look_at_agent
}

look_at_agent() {
    agent=
    for candidate in /snap/amazon-ssm-agent/current/amazon-ssm-agent /usr/bin/amazon-ssm-agent; do
        if [ -x "$candidate" ]; then
            agent=$candidate
            break
        fi
    done
    agent_version=
    running=false
    if [ -n "$agent" ]; then
        agent_version=$("$agent" -version 2>/dev/null | sed -n 's/.*[Vv]ersion[: ]*\([0-9][0-9.]*\).*/\1/p' | head -n 1)
        if pidof amazon-ssm-agent >/dev/null 2>&1 || pgrep -x amazon-ssm-agen >/dev/null 2>&1; then
            running=true
        fi
    fi
    look_at_registration
}

# The text that a member of a flat JSON object has.
member() {
    printf '%s' "$2" | sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p'
}

# Which node it is. The file `registration` does not prove that it is one: it survives that the registration is cleared
# (`amazon-ssm-agent -register -clear`), and images are made with it. The agent goes by its vault next to it, so that decides:
# node and key have to be in it, and a vault without them is no registration. Where there is no vault at all, ssm-cli is
# asked; what it cannot answer, and a vault of a form that is not known, is left as the file says, as a node that is registered
# twice is worse than one that is found to be offline.
look_at_registration() {
    node=
    node_region=
    for data in /var/snap/amazon-ssm-agent/current/var/lib/amazon/ssm /var/lib/amazon/ssm; do
        if grep -q '"instanceID"' "$data/Vault/Store/RegistrationKey" 2>/dev/null; then
            text=$(head -c 16384 "$data/Vault/Store/RegistrationKey" | tr -d '\n')
            [ -n "$(member privateKey "$text")" ] || continue
            node=$(member instanceID "$text")
            node_region=$(member region "$text")
        elif [ -f "$data/registration" ] && { [ ! -d "$data/Vault" ] || [ -f "$data/Vault/Store/RegistrationKey" ]; }; then
            text=$(head -c 4096 "$data/registration" | tr -d '\n')
            node=$(member ManagedInstanceID "$text")
            node_region=$(member Region "$text")
            if [ -n "$agent" ] && [ -x "${agent%/*}/ssm-cli" ]; then
                text=$(timeout 20 "${agent%/*}/ssm-cli" get-instance-information 2>/dev/null | head -c 4096 | tr -d '\n')
                answer=$(member instance-id "$text")
                if [ -n "$answer" ]; then
                    node=$answer
                    node_region=$(member region "$text")
                fi
            fi
        fi
        case $node in
            mi-*[!0-9a-f]*) node= ;;
            mi-?????????????????) break ;;
            *) node= ;;
        esac
    done
    [ -n "$node" ] || node_region=
}

older() {
    # Whether version $1 is lower than $2.
    awk -v a="$1" -v b="$2" 'BEGIN {
        n = split(a, x, "."); m = split(b, y, ".")
        for (i = 1; i <= (n > m ? n : m); i++) { if (x[i] + 0 < y[i] + 0) exit 0; if (x[i] + 0 > y[i] + 0) exit 1 }
        exit 1
    }'
}

# --- the network ------------------------------------------------------------------------------------------------------

# The proxy is in the environment and not in an argument list, as it may have a password. The agent that registers reads it there
# as well.
use_proxy() {
    [ -n "$proxy" ] || return 0
    http_proxy=$proxy
    https_proxy=$proxy
    no_proxy=${no_proxy_list:-169.254.169.254}
    export http_proxy https_proxy no_proxy
}

# fetch URL FILE: gives what curl or wget does, 127 if there is neither; what they say is in the file `message`.
fetch() {
    if command -v curl >/dev/null 2>&1; then
        set -- "$1" "$2" -sS -f -L --connect-timeout 15 --max-time 600 --proto '=https' --proto-redir '=https'
        [ -n "$ca_file" ] && set -- "$@" --cacert "$ca_file"
        url=$1
        to=$2
        shift 2
        curl "$@" -o "$to" -- "$url" 2>"$dir/message"
    elif command -v wget >/dev/null 2>&1; then
        set -- "$1" "$2" -nv --timeout=30 --tries=1
        [ -n "$ca_file" ] && set -- "$@" --ca-certificate="$ca_file"
        url=$1
        to=$2
        shift 2
        wget "$@" -O "$to" -- "$url" 2>"$dir/message"
    else
        : >"$dir/message"
        return 127
    fi
}

# reach URL [CA-FILE]: like fetch, but any answer of the server is good; its number is in `answer`, which is 000 without one.
reach() {
    answer=000
    if command -v curl >/dev/null 2>&1; then
        set -- "$1" "${2:-}" -sS --connect-timeout 15 --max-time 30 --proto '=https' -r 0-0 -o /dev/null -w '%{http_code}'
        [ -n "$2" ] && set -- "$@" --cacert "$2"
        url=$1
        shift 2
        answer=$(curl "$@" -- "$url" 2>"$dir/message")
    elif command -v wget >/dev/null 2>&1; then
        set -- "$1" "${2:-}" -S --spider --timeout=30 --tries=1 --max-redirect=0
        [ -n "$2" ] && set -- "$@" --ca-certificate="$2"
        url=$1
        shift 2
        wget "$@" -- "$url" 2>"$dir/message"
        status=$?
        answer=$(sed -n 's/^ *HTTP[^ ]* \([0-9][0-9][0-9]\).*/\1/p' "$dir/message" | tail -n 1)
        # An error that the server answered with is an answer; one of a proxy that makes no tunnel is not.
        grep -qi 'tunnel' "$dir/message" && return "$status"
        [ -z "$answer" ] || status=0
        return "$status"
    else
        : >"$dir/message"
        return 127
    fi
}

# What curl or wget said last.
said() {
    grep -v '^[[:space:]]*$' "$dir/message" 2>/dev/null | tail -n 1
}

# What hinders: whether it ended with $1 because of the proxy, the name, the lack of a program, or something else.
hindrance() {
    place=${proxy#*://}
    place=${place##*@}
    place=${place%%/*}
    text=$(cat "$dir/message")
    if [ -n "$proxy" ]; then
        case $text in
            *"curl: (5)"* | *"curl: (97)"* | *"roxy tunnel"* | *"from proxy"* | *"resolve proxy"* | *CONNECT* | *"connect to ${place%:*} port ${place##*:} "* | *resolve*"${place%:*}"*)
                echo proxy
                return
                ;;
            *) ;;
        esac
    fi
    case $1:$text in
        127:*) echo nothing ;;
        *"curl: (6)"* | *"unable to resolve"* | *"bad address"*) echo name ;;
        *) echo other ;;
    esac
}

try_endpoints() {
    for endpoint in $endpoints; do
        reach "$endpoint"
        status=$?
        if [ "$status" -ne 0 ] && [ -n "$ca_file" ]; then
            # Endpoints behind the authority of the mirror. It is not the first to be tried, as AWS's own are not.
            reach "$endpoint" "$ca_file"
            status=$?
        fi
        [ "$status" -eq 0 ] && continue
        case $(hindrance "$status") in
            proxy) finish 16 proxy-refused "$endpoint: $(said)" ;;
            name) finish 14 no-dns "$endpoint cannot be resolved" ;;
            nothing) finish 15 endpoint-unreachable "there is neither curl nor wget to try it with" ;;
            *) finish 15 endpoint-unreachable "$endpoint: $(said)" ;;
        esac
    done
}

# Where the package and its signature are.
find_source() {
    suffix=amazonaws.com
    case $region in cn-*) suffix=amazonaws.com.cn ;; esac
    [ -n "$package_url" ] || package_url="https://amazon-ssm-$region.s3.$region.$suffix/latest/{platform}/{file}"
    [ -n "$signature_url" ] || signature_url=$package_url.sig
    package_url=$(filled "$package_url")
    signature_url=$(filled "$signature_url")
}

# The placeholders of an address.
filled() {
    printf '%s' "$1" | sed "s/{region}/$region/g; s/{platform}/$platform/g; s/{file}/$file/g"
}

source_hindered() {
    case $(hindrance "$1") in
        proxy) finish 16 proxy-refused "$package_url: $(said)" ;;
        name) finish 17 source-unreachable "$package_url cannot be resolved" ;;
        nothing) finish 17 source-unreachable "there is neither curl nor wget to download with" ;;
        *) ;;
    esac
}

# Whether the package can be had, before anything is changed.
try_source() {
    reach "$package_url" "$ca_file"
    status=$?
    case $answer in
        2?? | 3??) ;;
        403) finish 20 download-failed "the source refuses the guest (403): a policy of the bucket or the endpoint, or there is no such file: $package_url" ;;
        404) finish 20 download-failed "the source has no such file (404): $package_url" ;;
        *)
            source_hindered "$status"
            [ "$status" -eq 0 ] && finish 20 download-failed "the source answers $answer: $package_url"
            finish 17 source-unreachable "$package_url: $(said)"
            ;;
    esac
}

# --- steps ------------------------------------------------------------------------------------------------------------

preflight() {
    progress checking
    [ -n "$family" ] || finish 10 unsupported-os "there is neither dpkg nor rpm nor the agent's snap ($os_name)"
    [ -n "$machine" ] || finish 11 unsupported-architecture "the architecture is $arch"
    if [ -z "$agent" ] && [ "$free" -lt "$minimum_disk" ]; then
        finish 12 disk-full "$free MiB are free, $minimum_disk are needed"
    fi
    set -f
    try_endpoints
    set +f
    if [ "$source" = download ] && [ "$family" != snap ] && wants_package; then
        find_source
        try_source
    fi
}

# Whether an agent is to be installed.
wants_package() {
    # Without a package there is nothing to install it anew with.
    [ -z "$agent" ] || too_old || { [ "$reinstall" = true ] && [ "$source" != present ]; }
}

too_old() {
    [ -n "$minimum_version" ] && older "$agent_version" "$minimum_version"
}

hash_of() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$1" | cut -d' ' -f1
    else
        openssl dgst -sha256 -r "$1" | cut -d' ' -f1
    fi
}

verify() {
    progress verifying
    wanted=
    set -f
    for pin in $package_sha256; do
        case $pin in
            "$platform="*) wanted=${pin#*=} ;;
        esac
    done
    set +f
    if [ -n "$wanted" ]; then
        found=$(hash_of "$1")
        wanted=$(printf '%s' "$wanted" | tr '[:upper:]' '[:lower:]')
        [ "$found" = "$wanted" ] || finish 21 verification-failed "its SHA-256 is $found"
        return
    fi
    # Without a hash the signature decides: of the package, made with the key that vmbridge sent.
    [ -n "$signature_key" ] || finish 21 verification-failed "there is neither a hash for $platform nor a key to verify a signature with"
    command -v gpg >/dev/null 2>&1 || finish 21 verification-failed "there is no gpg to verify the signature with; set package_sha256"
    if [ -n "$signature_url" ]; then
        fetch "$signature_url" "$1.sig" || finish 20 download-failed "the signature: $(said)"
    fi
    # A keyring with that key only. gpg is content with keys that have expired or were revoked: they are not good enough.
    rm -rf "$dir/gpg"
    mkdir "$dir/gpg"
    gpg --homedir "$dir/gpg" --batch -q --import "$signature_key" 2>/dev/null
    gpg --homedir "$dir/gpg" --batch -q --status-fd 1 --verify "$1.sig" "$1" >"$dir/status" 2>"$dir/message" || finish 21 verification-failed "$(said)"
    grep -q '^\[GNUPG:\] GOODSIG ' "$dir/status" || finish 21 verification-failed "the key of its signature has expired or was revoked"
}

get_package() {
    package=$dir/$file
    case $source in
        push)
            [ -f "$package_file" ] || finish 40 bad-parameters "the package was not sent"
            package=$package_file
            ;;
        download)
            progress downloading
            fetch "$package_url" "$package"
            status=$?
            if [ "$status" -ne 0 ]; then
                source_hindered "$status"
                finish 20 download-failed "$(said)"
            fi
            ;;
    esac
    verify "$package"
}

# Whether the package manager said that it is in use.
busy() {
    grep -qiE 'lock (was|is|file)|is locked by|transaction lock|get lock|rpm\.lock|change in progress' "$dir/message"
}

install_package() {
    progress installing
    tries=0
    while :; do
        # What an administrator changed of the configuration is kept, and nobody is asked.
        case $family in
            snap) snap refresh amazon-ssm-agent --classic ;;
            deb) DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold -i "$package" ;;
            rpm) rpm -U --replacepkgs "$package" ;;
        esac </dev/null >"$dir/message" 2>&1 9>&- && break
        if busy; then
            tries=$((tries + 1))
            [ "$tries" -lt 60 ] || finish 22 package-manager-busy "$(said)"
            sleep 5
            continue
        fi
        if [ "$selinux" = enforcing ]; then
            finish 23 install-failed "SELinux is enforcing, which stops scripts of packages that VMware Tools start: $(said)"
        fi
        finish 23 install-failed "$(said)"
    done
    before=$node
    look_at_agent
    [ -n "$agent" ] || finish 23 install-failed "the package was installed, and there is no agent"
    too_old && finish 23 install-failed "the agent that was installed is $agent_version, $minimum_version is wanted"
    [ -z "$before" ] || [ "$node" = "$before" ] || finish 23 install-failed "the registration as $before was lost in the update"
}

# There is something new that a running agent does not know of. It is written down, as we may be killed before it is told.
stale=/var/lib/amazon/ssm/vmbridge-restart

changed() {
    mkdir -p "${stale%/*}"
    : >"$stale"
}

# place FILE: moves FILE.new there, if it is another one.
place() {
    chmod 644 "$1.new"
    if cmp -s "$1.new" "$1"; then
        rm -f "$1.new"
        return 1
    fi
    changed
    mv -f "$1.new" "$1"
}

configure() {
    [ -n "$agent_config" ] || return 0
    [ -f "$agent_config" ] || finish 40 bad-parameters "the agent's configuration was not sent"
    mkdir -p /etc/amazon/ssm
    cp "$agent_config" /etc/amazon/ssm/amazon-ssm-agent.json.new || finish 41 internal "/etc/amazon/ssm cannot be written to"
    place /etc/amazon/ssm/amazon-ssm-agent.json
}

# A text as it stands between quotation marks in a unit of systemd.
unit_text() {
    printf '%s' "$1" | sed 's/[\\"]/\\&/g; s/%/%%/g'
}

configure_proxy() {
    [ -d /run/systemd/system ] || return 0
    drop=/etc/systemd/system/$unit.service.d/vmbridge-proxy.conf
    if [ -n "$proxy" ]; then
        mkdir -p "${drop%/*}"
        chmod 755 "${drop%/*}"
        {
            printf '[Service]\n'
            printf 'Environment="http_proxy=%s"\n' "$(unit_text "$proxy")"
            printf 'Environment="https_proxy=%s"\n' "$(unit_text "$proxy")"
            printf 'Environment="no_proxy=%s"\n' "$(unit_text "$no_proxy")"
        } >"$drop.new"
        place "$drop" || return 0
    elif [ -f "$drop" ]; then
        changed
        rm -f "$drop"
    else
        return 0
    fi
    systemctl daemon-reload
}

prepare() {
    preflight
    if wants_package; then
        if [ "$source" = present ]; then
            [ -n "$agent" ] || finish 24 agent-absent "there is no agent"
            finish 25 agent-too-old "it is $agent_version, $minimum_version is wanted"
        fi
        [ "$family" = snap ] || get_package
        changed
        install_package
    fi
    configure
    configure_proxy
    # Without a registration it has nothing to do yet, and is started when it has one.
    if [ -f "$stale" ] && [ -n "$node" ]; then
        start_service
    fi
    rm -f "$stale"
    finish 0 ok "the agent $agent_version is installed"
}

stop_service() {
    if [ "$family" = snap ]; then
        snap stop amazon-ssm-agent >/dev/null 2>&1
    elif [ -d /run/systemd/system ]; then
        systemctl stop amazon-ssm-agent >/dev/null 2>&1
    elif command -v service >/dev/null 2>&1 && [ -e /etc/init.d/amazon-ssm-agent ]; then
        service amazon-ssm-agent stop >/dev/null 2>&1
    else
        # There is nothing that stops services, as in a container.
        pkill -x amazon-ssm-agen >/dev/null 2>&1
        tries=0
        while pidof amazon-ssm-agent >/dev/null 2>&1 && [ "$tries" -lt 10 ]; do
            tries=$((tries + 1))
            sleep 1
        done
    fi
    return 0
}

start_service() {
    progress starting
    if [ "$family" = snap ]; then
        { snap start --enable amazon-ssm-agent && snap restart amazon-ssm-agent; } >"$dir/message" 2>&1 9>&-
    elif [ -d /run/systemd/system ]; then
        systemctl enable amazon-ssm-agent >/dev/null 2>&1
        systemctl restart amazon-ssm-agent >"$dir/message" 2>&1 9>&-
    elif command -v service >/dev/null 2>&1 && [ -e /etc/init.d/amazon-ssm-agent ]; then
        service amazon-ssm-agent restart >"$dir/message" 2>&1 9>&-
    else
        stop_service
        setsid "$agent" </dev/null >/dev/null 2>&1 9>&- &
    fi || finish 33 service-not-started "$(said)"
    # One that ends at once is not taken for one that runs.
    tries=0
    seen=0
    while [ "$tries" -lt 20 ]; do
        look_at_agent
        if [ "$running" = true ]; then
            seen=$((seen + 1))
            if [ "$seen" -ge 3 ]; then
                rm -f "$stale"
                return
            fi
        else
            seen=0
        fi
        tries=$((tries + 1))
        sleep 1
    done
    finish 33 service-not-started "it does not run 20 s after it was started"
}

# Which activation the registration was made with: a second run with the same one changes nothing. It is written before the
# registration, with what the agent was registered as until then: whoever was killed meanwhile knows whose it is.
marker=/var/lib/amazon/ssm/vmbridge-activation

mark() {
    mkdir -p "${marker%/*}"
    printf '%s\n' "$1" >"$marker.new"
    mv -f "$marker.new" "$marker"
}

marked() {
    known=$(head -n 1 "$marker" 2>/dev/null)
    [ "$known" = "$activation_id" ] || { [ "${known%% *}" = "$activation_id" ] && [ "${known#* }" != "$node" ]; }
}

register() {
    [ -n "$agent" ] || finish 24 agent-absent "there is no agent"
    if [ -z "$activation_id" ] || [ -z "$activation_code" ] || [ -z "$region" ]; then
        finish 40 bad-parameters "the activation is missing"
    fi
    if [ -n "$node" ] && marked; then
        mark "$activation_id"
        start_service
        finish 0 ok "it was registered already with this activation"
    fi
    if [ -n "$node" ] && [ "$reregister" != true ]; then
        finish 32 registered-elsewhere "it is registered as $node in $node_region"
    fi
    progress registering
    stop_service
    mark "$activation_id ${node:-none}"
    "$agent" -register -code "$activation_code" -id "$activation_id" -region "$region" -y >"$dir/message" 2>&1
    status=$?
    activation_code=
    look_at_agent
    if [ "$status" -ne 0 ] || [ -z "$node" ]; then
        # The agent may repeat what it was told.
        # What AWS said need not be on the last line: some of its errors go on with the number of the request.
        message=$(tail -c 4096 "$dir/message" | tr -cd '[:print:]')
        rm -f "$dir/message"
        case $message in
            *InvalidActivation* | *ActivationExpired* | *ActivationLimit* | *RegistrationLimit*)
                finish 30 activation-refused "AWS does not accept the activation" ;;
        esac
        finish 31 registration-failed "the agent ended with $status"
    fi
    rm -f "$dir/message"
    mark "$activation_id"
    start_service
    finish 0 ok "it is registered as $node"
}

take_directory
# Whatever ends it in another way.
trap 'finish 41 internal "it was ended or failed while it was at: $(tail -n 1 "$dir/progress" 2>/dev/null)"' EXIT
trap 'exit 41' HUP INT TERM
case $step in
    preflight | prepare | register | restart) ;;
    cleanup)
        # Only what is ours by its name.
        case ${dir##*/} in
            vmbridge-*) ;;
            *) finish 40 bad-parameters "it is not a directory of vmbridge" ;;
        esac
        trap - EXIT
        rm -rf "$dir"
        exit 0
        ;;
    *) finish 40 bad-parameters "there is no such step" ;;
esac
read_parameters
[ "$(id -u)" = 0 ] || finish 18 not-privileged "it runs as user $(id -un 2>/dev/null)"
use_proxy
lock
look
case $step in
    preflight)
        preflight
        finish 0 ok "the guest can be enrolled"
        ;;
    prepare) prepare ;;
    register) register ;;
    restart)
        [ -n "$agent" ] || finish 24 agent-absent "there is no agent"
        start_service
        finish 0 ok "the agent was started again"
        ;;
esac
