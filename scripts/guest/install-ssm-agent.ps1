# Installs and registers SSM Agent in a Windows guest. vmbridge puts this file there and starts it:
#
#   install-ssm-agent.ps1 STEP DIR      STEP: preflight, prepare, register, restart, cleanup
#
# The same agreement as install-ssm-agent.sh: DIR\parameters with lines NAME=value, which is opened, deleted and only then read, and
# deleted as well whenever it is not used; nobody but administrators, the system and the account may read it. Where no file can
# be put into the guest, the same lines are in the variable VMBRIDGE_PARAMETERS, and DIR is made if it is not there.
# How it ended is the exit code (mappings/defaults/guest-reasons.toml); DIR\result.json tells more, whatever happens, but for a DIR
# that cannot be trusted (40). It can be started again after any interruption.
# For Windows PowerShell 5.1 and later.
param([string]$Step, [string]$Dir)

# Before any other program is started.
$Handed = $env:VMBRIDGE_PARAMETERS
Remove-Item -Path Env:VMBRIDGE_PARAMETERS -ErrorAction SilentlyContinue

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

$Program = "$env:ProgramFiles\Amazon\SSM\amazon-ssm-agent.exe"
$Data = "$env:ProgramData\Amazon\SSM\InstanceData"
$Marker = "$env:ProgramData\Amazon\SSM\vmbridge-activation"
# There is something new that a running agent does not know of. It is written down, as we may be ended before it is told.
$Stale = "$env:ProgramData\Amazon\SSM\vmbridge-restart"
$Known = 'REGION', 'ACTIVATION_ID', 'ACTIVATION_CODE', 'SOURCE', 'PACKAGE_URL', 'PACKAGE_SHA256', 'SIGNATURE_URL', 'SIGNATURE_KEY',
    'PACKAGE_FILE', 'PROXY', 'NO_PROXY', 'CA_FILE', 'AGENT_CONFIG', 'ENDPOINTS', 'MINIMUM_VERSION', 'REREGISTER', 'REINSTALL', 'MINIMUM_DISK_MIB', 'SIGNATURE_SUBJECT'
$Told = @{ SOURCE = 'download'; REREGISTER = 'false'; REINSTALL = 'false'; MINIMUM_DISK_MIB = '300'; SIGNATURE_SUBJECT = 'Amazon.com Services LLC' }

# What a program of Windows says goes to standard error as well, which would end us.
function Invoke-Native([string]$Path, [string[]]$Arguments) {
    $ErrorActionPreference = 'Continue'
    $said = & $Path $Arguments 2>&1 | ForEach-Object { "$_" } | Out-String
    return @{ code = $LASTEXITCODE; said = $said }
}

function Read-Json([string]$Path) {
    return [IO.File]::ReadAllText($Path) | ConvertFrom-Json
}

# Which node it is: see install-ssm-agent.sh. The vault decides; where there is none, ssm-cli, and at last the file.
function Get-Registration {
    $node = $null; $region = $null; $kept = $null
    # What cannot be read, or is of a form that is not known, is left as the file says.
    try { $kept = Read-Json "$Data\Vault\Store\RegistrationKey" } catch { $kept = $null }
    try {
        if ($kept -and $kept.PSObject.Properties['instanceID']) {
            $read = $kept
            if ($read.privateKey) { $node = $read.instanceID; $region = $read.region }
        } elseif ((Test-Path "$Data\registration") -and (-not (Test-Path "$Data\Vault") -or (Test-Path "$Data\Vault\Store\RegistrationKey"))) {
            $read = Read-Json "$Data\registration"
            $node = $read.ManagedInstanceID; $region = $read.Region
            $cli = "$env:ProgramFiles\Amazon\SSM\ssm-cli.exe"
            if (Test-Path $cli) {
                $answer = Invoke-Native $cli @('get-instance-information')
                if ($answer.said -match '"instance-id"\s*:\s*"([^"]+)"') {
                    $node = $Matches[1]
                    if ($answer.said -match '"region"\s*:\s*"([^"]+)"') { $region = $Matches[1] }
                }
            }
        }
    } catch { return $null }
    if ($node -match '^mi-[0-9a-f]{17}$') { return @{ node = $node; region = $region } }
}

function Get-AgentVersion {
    if (Test-Path $Program) { return (Get-Item $Program).VersionInfo.ProductVersion }
}

function Test-TooOld {
    $version = Get-AgentVersion
    if (-not $version -or -not $Told.MINIMUM_VERSION) { return $false }
    $wanted = $(if ($Told.MINIMUM_VERSION -match '\.') { $Told.MINIMUM_VERSION } else { "$($Told.MINIMUM_VERSION).0" })
    return [Version]$version -lt [Version]$wanted
}

function Write-Report([int]$Code, [string]$Reason, [string]$Detail) {
    $system = Get-CimInstance -ClassName Win32_OperatingSystem
    $version = Get-AgentVersion
    $service = Get-Service -Name AmazonSSMAgent -ErrorAction SilentlyContinue
    $agent = @{ installed = [bool]$version }
    if ($version) {
        $agent.version = $version
        $agent.running = [bool]($service -and $service.Status -eq 'Running')
    }
    $report = @{
        v = 1; step = $Step; code = $Code; reason = $Reason
        detail = ($Detail -replace '[\x00-\x1f]', ' ').Substring(0, [Math]::Min(300, $Detail.Length))
        os = @{ id = 'windows'; version = $system.Version; name = $system.Caption }
        arch = $(if ($env:PROCESSOR_ARCHITECTURE -eq 'ARM64') { 'arm64' } else { 'x86_64' })
        family = 'windows'
        diskFreeMiB = [int64]((Get-PSDrive -Name $env:SystemDrive.TrimEnd(':')).Free / 1048576)
        clock = [int64](New-TimeSpan -Start '1970-01-01' -End (Get-Date).ToUniversalTime()).TotalSeconds
        agent = $agent
    }
    $registered = Get-Registration
    if ($registered) { $report.registration = $registered }
    $text = $report | ConvertTo-Json -Compress -Depth 4
    [IO.File]::WriteAllText("$Dir\result.json.new", $text, (New-Object Text.UTF8Encoding $false))
    Move-Item -Force -Path "$Dir\result.json.new" -Destination "$Dir\result.json"
}

function Stop-Here([int]$Code, [string]$Reason, [string]$Detail = '') {
    Remove-Item -Force -Path "$Dir\parameters" -ErrorAction SilentlyContinue
    # The exit code is right even if nothing can be reported.
    try { Write-Report $Code $Reason $Detail } catch { [Console]::Error.WriteLine("$_") }
    exit $Code
}

function Add-Progress([string]$Word) {
    Add-Content -Path "$Dir\progress" -Value $Word
}

# Rights of others to a file or directory, of this mask.
function Test-Others([string]$Path, [int]$Mask) {
    $ours = 'S-1-5-18', 'S-1-5-32-544', 'S-1-3-4', [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
    $security = Get-Acl -LiteralPath $Path
    if ($ours -notcontains $security.GetOwner([Security.Principal.SecurityIdentifier]).Value) { return $true }
    foreach ($rule in $security.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])) {
        # What is only for things inside does not count.
        if ($rule.PropagationFlags -band [Security.AccessControl.PropagationFlags]::InheritOnly) { continue }
        if ($rule.AccessControlType -eq 'Allow' -and $ours -notcontains $rule.IdentityReference.Value -and ([int]$rule.FileSystemRights -band $Mask)) { return $true }
    }
    return $false
}

# The directory, made if it is not there: for us alone from now on.
function Initialize-Directory {
    if (-not (Test-Path -LiteralPath $Dir)) { New-Item -ItemType Directory -Path $Dir | Out-Null }
    $item = Get-Item -Force -LiteralPath $Dir
    if (-not $item.PSIsContainer -or ($item.Attributes -band [IO.FileAttributes]::ReparsePoint)) { exit 40 }
    # Deleting, its rights and its owner. That others may add files is so below C:\Windows\Temp, and ends here.
    if (Test-Others $Dir 0xd0040) {
        Remove-Item -Force -LiteralPath "$Dir\parameters" -ErrorAction SilentlyContinue
        exit 40
    }
    # The file as it was put there, before it gets the rights of the directory: reading, writing, its rights, its owner, and
    # what stands for all of them.
    if ((Test-Path -LiteralPath "$Dir\parameters") -and (Test-Others "$Dir\parameters" 0x900c0007)) { Stop-Here 40 'bad-parameters' 'the parameters can be read by others' }
    $user = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
    $done = Invoke-Native "$env:SystemRoot\System32\icacls.exe" @($Dir, '/inheritance:r', '/grant:r', '*S-1-5-32-544:(OI)(CI)F', '*S-1-5-18:(OI)(CI)F', "*${user}:(OI)(CI)F")
    if ($done.code -ne 0) { Stop-Here 40 'bad-parameters' 'the directory cannot be made ours alone' }
}

function Read-Parameters {
    $path = "$Dir\parameters"
    $text = $Handed
    if (Test-Path -LiteralPath $path) {
        $item = Get-Item -Force -LiteralPath $path
        if ($item.PSIsContainer -or ($item.Attributes -band [IO.FileAttributes]::ReparsePoint)) { Stop-Here 40 'bad-parameters' 'the parameters are not a file' }
        # It goes when it is closed, whatever happens until then, and nobody else can open it.
        $stream = New-Object IO.FileStream($path, [IO.FileMode]::Open, [IO.FileAccess]::Read, [IO.FileShare]::Delete, 4096, [IO.FileOptions]::DeleteOnClose)
        Remove-Item -Force -LiteralPath $path -ErrorAction SilentlyContinue
        $text = (New-Object IO.StreamReader($stream)).ReadToEnd()
        $stream.Dispose()
    } elseif (-not $text -and $Step -ne 'restart') { Stop-Here 40 'bad-parameters' 'there are no parameters' }
    foreach ($line in ("$text" -split "`r?`n" | Where-Object { $_ })) {
        $name, $value = $line -split '=', 2
        if ($Known -cnotcontains $name -or $null -eq $value) { Stop-Here 40 'bad-parameters' 'a parameter is not known' }
        $Told[$name] = $value
    }
    if ('download', 'push', 'present' -notcontains $Told.SOURCE) { Stop-Here 40 'bad-parameters' 'SOURCE is none of download, push, present' }
    if ($Told.MINIMUM_DISK_MIB -notmatch '^[0-9]{1,9}$') { Stop-Here 40 'bad-parameters' 'MINIMUM_DISK_MIB is not a number' }
    if ($Told.REGION -and $Told.REGION -cnotmatch '^[a-z0-9-]+$') { Stop-Here 40 'bad-parameters' 'REGION is not the name of a Region' }
    if ($Told.PROXY) {
        if (-not $Told.NO_PROXY) { $Told.NO_PROXY = '169.254.169.254' }
        # The agent that registers reads it there.
        $env:http_proxy = $Told.PROXY
        $env:https_proxy = $Told.PROXY
        $env:no_proxy = $Told.NO_PROXY
    }
}

function Get-Proxy {
    $uri = [Uri]$Told.PROXY
    $proxy = New-Object Net.WebProxy "$($uri.Scheme)://$($uri.Host):$($uri.Port)"
    if ($uri.UserInfo) {
        $user, $password = $uri.UserInfo -split ':', 2
        $proxy.Credentials = New-Object Net.NetworkCredential([Uri]::UnescapeDataString($user), [Uri]::UnescapeDataString("$password"))
    }
    $names = @($Told.NO_PROXY -split ',' | ForEach-Object { $_.Trim().TrimStart('.') } | Where-Object { $_ })
    $proxy.BypassList = [string[]]@($names | ForEach-Object { '://([^/]+\.)?' + [regex]::Escape($_) + '(:\d+)?$' })
    return $proxy
}

function Get-File([string]$Url, [string]$To) {
    $client = New-Object Net.WebClient
    if ($Told.PROXY) { $client.Proxy = Get-Proxy }
    $client.DownloadFile($Url, $To)
}

# Asks for one byte. Gives the number that the server answered with; what hinders ends it: the proxy, the name, or something else.
function Test-Address([string]$Url, [bool]$Package) {
    try {
        $request = [Net.WebRequest]::Create($Url)
        $request.Timeout = 30000
        $request.AllowAutoRedirect = $false
        $request.AddRange(0, 0)
        if ($Told.PROXY) { $request.Proxy = Get-Proxy }
        $response = $request.GetResponse()
        $answer = [int]$response.StatusCode
        $response.Close()
        return $answer
    } catch [Net.WebException] {
        $failure = $_.Exception
        if ($failure.InnerException -is [Net.WebException]) { $failure = $failure.InnerException }
        if ($failure.Response) {
            $answer = [int]$failure.Response.StatusCode
            $own = $failure.Response.Headers['x-amzn-RequestId'] -or $failure.Response.Headers['x-amz-request-id']
            # A proxy that makes no tunnel answers in the name of the server.
            if ($answer -eq 407 -or ($Told.PROXY -and -not $own -and 403, 502, 503, 504 -contains $answer)) { Stop-Here 16 'proxy-refused' "${Url}: $($failure.Message)" }
            return $answer
        }
        if ('ProxyNameResolutionFailure', 'RequestProhibitedByProxy' -contains $failure.Status) { Stop-Here 16 'proxy-refused' "${Url}: $($failure.Message)" }
        if ($Package) { Stop-Here 17 'source-unreachable' "${Url}: $($failure.Message)" }
        if ($failure.Status -eq 'NameResolutionFailure') { Stop-Here 14 'no-dns' "$Url cannot be resolved" }
        Stop-Here 15 'endpoint-unreachable' "${Url}: $($failure.Message)"
    }
}

function Get-PackageUrl {
    $url = $Told.PACKAGE_URL
    if (-not $url) {
        $suffix = $(if ($Told.REGION -like 'cn-*') { 'amazonaws.com.cn' } else { 'amazonaws.com' })
        $url = "https://amazon-ssm-$($Told.REGION).s3.$($Told.REGION).$suffix/latest/{platform}/{file}"
    }
    return $url.Replace('{region}', $Told.REGION).Replace('{platform}', 'windows_amd64').Replace('{file}', 'AmazonSSMAgentSetup.exe')
}

# Whether the package can be had, before anything is changed.
function Test-Source {
    $url = Get-PackageUrl
    $answer = Test-Address $url $true
    if ($answer -ge 200 -and $answer -lt 400) { return }
    $why = $(if ($answer -eq 403) { 'the source refuses the guest (403): a policy of the bucket or the endpoint, or there is no such file' }
        elseif ($answer -eq 404) { 'the source has no such file (404)' } else { "the source answers $answer" })
    Stop-Here 20 'download-failed' "${why}: $url"
}

function Invoke-Preflight {
    Add-Progress 'checking'
    if (-not [Environment]::Is64BitOperatingSystem) { Stop-Here 11 'unsupported-architecture' 'it is a 32-bit Windows' }
    if ([Environment]::OSVersion.Version -lt [Version]'6.2') { Stop-Here 10 'unsupported-os' 'it is older than Windows Server 2012' }
    $free = (Get-PSDrive -Name $env:SystemDrive.TrimEnd(':')).Free / 1048576
    if (-not (Get-AgentVersion) -and $free -lt [int]$Told.MINIMUM_DISK_MIB) { Stop-Here 12 'disk-full' "$([int]$free) MiB are free" }
    # Any answer of an endpoint is good.
    foreach ($endpoint in ($Told.ENDPOINTS -split ' ' | Where-Object { $_ })) { Test-Address $endpoint $false | Out-Null }
    if ($Told.SOURCE -eq 'download' -and (-not (Get-AgentVersion) -or (Test-TooOld))) { Test-Source }
}

function Test-Package([string]$Package) {
    Add-Progress 'verifying'
    foreach ($pin in ($Told.PACKAGE_SHA256 -split ' ')) {
        $platform, $hash = $pin -split '=', 2
        if ($platform -eq 'windows_amd64') {
            $found = (Get-FileHash -Algorithm SHA256 -Path $Package).Hash
            if ($found -ne $hash) { Stop-Here 21 'verification-failed' "its SHA-256 is $found" }
            return
        }
    }
    $signature = Get-AuthenticodeSignature -LiteralPath $Package
    if ($signature.Status -ne 'Valid') { Stop-Here 21 'verification-failed' "its signature is $($signature.Status)" }
    $signer = $signature.SignerCertificate.GetNameInfo([Security.Cryptography.X509Certificates.X509NameType]::SimpleName, $false)
    if ($signer -cne $Told.SIGNATURE_SUBJECT) { Stop-Here 21 'verification-failed' "it is signed by $signer" }
}

function Set-Stale {
    New-Item -Force -ItemType Directory -Path (Split-Path $Stale) | Out-Null
    [IO.File]::WriteAllText($Stale, '')
}

function Install-Agent {
    if (Get-Process -Name AmazonSSMAgentSetup -ErrorAction SilentlyContinue) { Stop-Here 22 'package-manager-busy' 'another setup of the agent is under way' }
    $package = "$Dir\AmazonSSMAgentSetup.exe"
    if ($Told.SOURCE -eq 'push') {
        $package = $Told.PACKAGE_FILE
        if (-not $package -or -not (Test-Path -LiteralPath $package)) { Stop-Here 40 'bad-parameters' 'the package was not sent' }
    } else {
        Add-Progress 'downloading'
        # A file that somebody else made would stay theirs.
        if (Test-Path -LiteralPath $package) { Remove-Item -Force -LiteralPath $package }
        try { Get-File (Get-PackageUrl) $package } catch [Net.WebException] { Stop-Here 20 'download-failed' $_.Exception.Message }
    }
    Test-Package $package
    Add-Progress 'installing'
    Set-Stale
    $before = Get-Registration
    $setup = Start-Process -FilePath $package -ArgumentList '/S' -Wait -PassThru
    if ($setup.ExitCode -eq 1618) { Stop-Here 22 'package-manager-busy' 'another installation is under way' }
    # 3010: it is done, and wants a restart of Windows some time.
    if (0, 3010 -notcontains $setup.ExitCode -or -not (Get-AgentVersion)) { Stop-Here 23 'install-failed' "the setup ended with $($setup.ExitCode)" }
    if (Test-TooOld) { Stop-Here 23 'install-failed' "the agent that was installed is $(Get-AgentVersion), $($Told.MINIMUM_VERSION) is wanted" }
    if ($before -and (Get-Registration).node -ne $before.node) { Stop-Here 23 'install-failed' "the registration as $($before.node) was lost in the update" }
}

function Set-Configuration {
    if ($Told.AGENT_CONFIG) {
        if (-not (Test-Path -LiteralPath $Told.AGENT_CONFIG)) { Stop-Here 40 'bad-parameters' "the agent's configuration was not sent" }
        $to = "$env:ProgramFiles\Amazon\SSM\amazon-ssm-agent.json"
        if (-not (Test-Path $to) -or (Get-FileHash $to).Hash -ne (Get-FileHash -LiteralPath $Told.AGENT_CONFIG).Hash) {
            Set-Stale
            # Its content only: the rights are those of the place.
            [IO.File]::WriteAllBytes($to, [IO.File]::ReadAllBytes($Told.AGENT_CONFIG))
        }
    }
    if ($Told.PROXY) {
        $key = 'HKLM:\SYSTEM\CurrentControlSet\Services\AmazonSSMAgent'
        $values = "http_proxy=$($Told.PROXY)", "https_proxy=$($Told.PROXY)", "no_proxy=$($Told.NO_PROXY)"
        $there = Get-ItemProperty -Path $key -Name Environment -ErrorAction SilentlyContinue
        if (-not $there -or ($there.Environment -join "`n") -cne ($values -join "`n")) {
            Set-Stale
            Set-ItemProperty -Path $key -Name Environment -Type MultiString -Value $values
        }
    }
}

function Invoke-Prepare {
    Invoke-Preflight
    $version = Get-AgentVersion
    # Without a package there is nothing to install it anew with.
    $anew = $Told.REINSTALL -eq 'true' -and $Told.SOURCE -ne 'present'
    if (-not $version -or (Test-TooOld) -or $anew) {
        if ($Told.SOURCE -eq 'present') {
            if ($version) { Stop-Here 25 'agent-too-old' "it is $version, $($Told.MINIMUM_VERSION) is wanted" }
            Stop-Here 24 'agent-absent' 'there is no agent'
        }
        Install-Agent
    }
    Set-Configuration
    # Without a registration it has nothing to do yet, and is started when it has one.
    if ((Test-Path $Stale) -and (Get-Registration)) { Start-Agent }
    Remove-Item -Force -Path $Stale -ErrorAction SilentlyContinue
    Stop-Here 0 'ok' 'the agent is installed'
}

function Start-Agent {
    Add-Progress 'starting'
    try {
        Restart-Service -Force -Name AmazonSSMAgent -WarningAction SilentlyContinue
        $service = Get-Service -Name AmazonSSMAgent
        $service.WaitForStatus('Running', '00:00:30')
        # One that ends at once is not taken for one that runs.
        Start-Sleep -Seconds 2
        $service.Refresh()
        if ($service.Status -ne 'Running') { throw 'it ended at once' }
    } catch { Stop-Here 33 'service-not-started' $_.Exception.Message }
    Remove-Item -Force -Path $Stale -ErrorAction SilentlyContinue
}

# The agent that an installer which was ended had started to register. It has to come to its end first.
function Wait-Registering {
    for ($tries = 0; $tries -lt 120; $tries++) {
        $found = Get-CimInstance -ClassName Win32_Process -Filter "Name = 'amazon-ssm-agent.exe'" | Where-Object { $_.CommandLine -match ' -register ' }
        if (-not $found) { return }
        Start-Sleep -Seconds 1
    }
    Stop-Here 22 'package-manager-busy' 'another registration of the agent is under way'
}

function Invoke-Register {
    if (-not (Get-AgentVersion)) { Stop-Here 24 'agent-absent' 'there is no agent' }
    if (-not ($Told.ACTIVATION_ID -and $Told.ACTIVATION_CODE -and $Told.REGION)) { Stop-Here 40 'bad-parameters' 'the activation is missing' }
    Wait-Registering
    $registered = Get-Registration
    if ($registered -and (Test-Path $Marker)) {
        # Either the activation, or, of a registration that was under way, the activation and what it was until then.
        $activation, $until = ([IO.File]::ReadAllText($Marker)).Trim() -split ' ', 2
        if ($activation -ceq $Told.ACTIVATION_ID -and $until -ne $registered.node) {
            [IO.File]::WriteAllText($Marker, $Told.ACTIVATION_ID)
            Start-Agent
            Stop-Here 0 'ok' 'it was registered already with this activation'
        }
    }
    if ($registered -and $Told.REREGISTER -ne 'true') { Stop-Here 32 'registered-elsewhere' "it is registered as $($registered.node)" }
    Add-Progress 'registering'
    Stop-Service -Force -Name AmazonSSMAgent -ErrorAction SilentlyContinue
    [IO.File]::WriteAllText($Marker, "$($Told.ACTIVATION_ID) $(if ($registered) { $registered.node } else { 'none' })")
    # The agent takes the code in no other way.
    $done = Invoke-Native $Program @('-register', '-code', $Told.ACTIVATION_CODE, '-id', $Told.ACTIVATION_ID, '-region', $Told.REGION, '-y')
    $Told.ACTIVATION_CODE = $null
    if ($done.code -ne 0 -or -not (Get-Registration)) {
        if ($done.said -match 'InvalidActivation|ActivationExpired|ActivationLimit|RegistrationLimit') { Stop-Here 30 'activation-refused' 'AWS does not accept the activation' }
        Stop-Here 31 'registration-failed' "the agent ended with $($done.code)"
    }
    [IO.File]::WriteAllText($Marker, $Told.ACTIVATION_ID)
    Start-Agent
    Stop-Here 0 'ok' 'it is registered'
}

if ($Dir -notmatch '^[A-Za-z]:\\.') { exit 40 }
if ($Step -eq 'cleanup') {
    # Only what is ours by its name, and nothing behind a link.
    if ((Split-Path -Leaf $Dir) -notlike 'vmbridge-*') { exit 40 }
    if (-not (Test-Path -LiteralPath $Dir)) { exit 0 }
    if ((Get-Item -Force -LiteralPath $Dir).Attributes -band [IO.FileAttributes]::ReparsePoint) { exit 40 }
    try { Remove-Item -Recurse -Force -LiteralPath $Dir } catch { exit 41 }
    exit 0
}
try {
    Initialize-Directory
} catch {
    Remove-Item -Force -LiteralPath "$Dir\parameters" -ErrorAction SilentlyContinue
    exit 40
}
try {
    $principal = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) { Stop-Here 18 'not-privileged' 'it runs without an elevated token' }
    Read-Parameters
    # One at a time. Windows lets go of it when its holder ends, however it does.
    $mutex = New-Object Threading.Mutex($false, 'Global\vmbridge-install')
    try { $free = $mutex.WaitOne(300000) } catch { $free = $_.Exception.GetBaseException() -is [Threading.AbandonedMutexException] }
    if (-not $free) { Stop-Here 22 'package-manager-busy' 'another installation of the agent is under way' }
    switch ($Step) {
        'preflight' { Invoke-Preflight; Stop-Here 0 'ok' 'the guest can be enrolled' }
        'prepare' { Invoke-Prepare }
        'register' { Invoke-Register }
        'restart' {
            if (-not (Get-AgentVersion)) { Stop-Here 24 'agent-absent' 'there is no agent' }
            Start-Agent
            Stop-Here 0 'ok' 'the agent was started again'
        }
        default { Stop-Here 40 'bad-parameters' 'there is no such step' }
    }
} catch {
    Stop-Here 41 'internal' $_.Exception.Message
}
