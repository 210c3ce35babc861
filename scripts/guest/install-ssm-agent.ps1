# Installs and registers SSM Agent in a Windows guest. vmbridge puts this file there and starts it:
#
#   install-ssm-agent.ps1 STEP DIR      STEP: preflight, prepare, register, restart, cleanup
#
# The same agreement as install-ssm-agent.sh: DIR\parameters with lines NAME=value, deleted as soon as it was read;
# DIR\result.json at the end, whatever happens; the exit codes of mappings/defaults/guest-reasons.toml.
# For Windows PowerShell 5.1 and later.
param([string]$Step, [string]$Dir)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

$Program = "$env:ProgramFiles\Amazon\SSM\amazon-ssm-agent.exe"
$Registration = "$env:ProgramData\Amazon\SSM\InstanceData\registration"
$Marker = "$env:ProgramData\Amazon\SSM\vmbridge-activation"
$Known = 'REGION', 'ACTIVATION_ID', 'ACTIVATION_CODE', 'SOURCE', 'PACKAGE_URL', 'PACKAGE_SHA256', 'SIGNATURE_URL', 'SIGNATURE_KEY',
    'PACKAGE_FILE', 'PROXY', 'NO_PROXY', 'CA_FILE', 'AGENT_CONFIG', 'ENDPOINTS', 'MINIMUM_VERSION', 'REREGISTER', 'REINSTALL', 'MINIMUM_DISK_MIB'
$Told = @{ SOURCE = 'download'; REREGISTER = 'false'; REINSTALL = 'false'; MINIMUM_DISK_MIB = '300' }

function Get-Registration {
    if (-not (Test-Path $Registration)) { return $null }
    try {
        $read = Get-Content -Raw -Path $Registration | ConvertFrom-Json
        if ($read.ManagedInstanceID -match '^mi-[0-9a-f]{17}$') { return @{ node = $read.ManagedInstanceID; region = $read.Region } }
    } catch { return $null }
}

function Get-AgentVersion {
    if (Test-Path $Program) { return (Get-Item $Program).VersionInfo.ProductVersion }
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
    Write-Report $Code $Reason $Detail
    exit $Code
}

function Add-Progress([string]$Word) {
    Add-Content -Path "$Dir\progress" -Value $Word
}

function Read-Parameters {
    $path = "$Dir\parameters"
    if (-not (Test-Path $path)) { Stop-Here 40 'bad-parameters' 'there are no parameters' }
    # Only administrators and the system: before anything is read.
    & "$env:SystemRoot\System32\icacls.exe" $path /inheritance:r /grant:r '*S-1-5-32-544:F' '*S-1-5-18:F' | Out-Null
    foreach ($line in [IO.File]::ReadAllLines($path)) {
        $name, $value = $line -split '=', 2
        if ($Known -notcontains $name) { Stop-Here 40 'bad-parameters' 'a parameter is not known' }
        $Told[$name] = $value
    }
    Remove-Item -Force -Path $path
    if ('download', 'push', 'present' -notcontains $Told.SOURCE) { Stop-Here 40 'bad-parameters' 'SOURCE is none of download, push, present' }
}

function Get-File([string]$Url, [string]$To) {
    $client = New-Object Net.WebClient
    if ($Told.PROXY) { $client.Proxy = New-Object Net.WebProxy $Told.PROXY }
    $client.DownloadFile($Url, $To)
}

function Test-Endpoint([string]$Url) {
    try {
        $request = [Net.WebRequest]::Create($Url)
        $request.Timeout = 30000
        if ($Told.PROXY) { $request.Proxy = New-Object Net.WebProxy $Told.PROXY }
        $request.GetResponse().Close()
    } catch [Net.WebException] {
        $failure = $_.Exception
        # Any answer of the server is good.
        if ($failure.Response) { return }
        if ($failure.Status -eq 'NameResolutionFailure') { Stop-Here 14 'no-dns' "$Url cannot be resolved" }
        if ($failure.Status -eq 'ProxyNameResolutionFailure') { Stop-Here 16 'proxy-refused' $failure.Message }
        Stop-Here 15 'endpoint-unreachable' "${Url}: $($failure.Message)"
    }
}

function Invoke-Preflight {
    Add-Progress 'checking'
    if (-not [Environment]::Is64BitOperatingSystem) { Stop-Here 11 'unsupported-architecture' 'it is a 32-bit Windows' }
    if ([Environment]::OSVersion.Version -lt [Version]'6.2') { Stop-Here 10 'unsupported-os' 'it is older than Windows Server 2012' }
    $free = (Get-PSDrive -Name $env:SystemDrive.TrimEnd(':')).Free / 1048576
    if (-not (Get-AgentVersion) -and $free -lt [int]$Told.MINIMUM_DISK_MIB) { Stop-Here 12 'disk-full' "$([int]$free) MiB are free" }
    foreach ($endpoint in ($Told.ENDPOINTS -split ' ' | Where-Object { $_ })) { Test-Endpoint $endpoint }
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
    $signature = Get-AuthenticodeSignature -FilePath $Package
    if ($signature.Status -ne 'Valid' -or $signature.SignerCertificate.Subject -notmatch '(^|, )(CN|O)="?Amazon\.com Services LLC"?(,|$)') {
        Stop-Here 21 'verification-failed' "its signature is $($signature.Status)"
    }
}

function Invoke-Prepare {
    Invoke-Preflight
    $version = Get-AgentVersion
    $old = $version -and $Told.MINIMUM_VERSION -and ([Version]$version -lt [Version]$Told.MINIMUM_VERSION)
    # Without a package there is nothing to install it anew with.
    $anew = $Told.REINSTALL -eq 'true' -and $Told.SOURCE -ne 'present'
    if (-not $version -or $old -or $anew) {
        if ($Told.SOURCE -eq 'present') {
            if ($version) { Stop-Here 25 'agent-too-old' "it is $version" }
            Stop-Here 24 'agent-absent' 'there is no agent'
        }
        $package = "$Dir\AmazonSSMAgentSetup.exe"
        if ($Told.SOURCE -eq 'push') {
            $package = $Told.PACKAGE_FILE
            if (-not (Test-Path $package)) { Stop-Here 40 'bad-parameters' 'the package was not sent' }
        } else {
            Add-Progress 'downloading'
            $url = $Told.PACKAGE_URL
            if (-not $url) {
                $suffix = $(if ($Told.REGION -like 'cn-*') { 'amazonaws.com.cn' } else { 'amazonaws.com' })
                $url = "https://amazon-ssm-$($Told.REGION).s3.$($Told.REGION).$suffix/latest/{platform}/{file}"
            }
            $url = $url.Replace('{region}', $Told.REGION).Replace('{platform}', 'windows_amd64').Replace('{file}', 'AmazonSSMAgentSetup.exe')
            try { Get-File $url $package } catch [Net.WebException] {
                if ($_.Exception.Response) { Stop-Here 20 'download-failed' $_.Exception.Message }
                Stop-Here 17 'source-unreachable' $_.Exception.Message
            }
        }
        Test-Package $package
        Add-Progress 'installing'
        $setup = Start-Process -FilePath $package -ArgumentList '/S' -Wait -PassThru
        if ($setup.ExitCode -eq 1618) { Stop-Here 22 'package-manager-busy' 'another installation is under way' }
        if ($setup.ExitCode -ne 0 -or -not (Get-AgentVersion)) { Stop-Here 23 'install-failed' "the setup ended with $($setup.ExitCode)" }
        if (Get-Registration) { Start-Agent }
    }
    if ($Told.AGENT_CONFIG) { Copy-Item -Force -Path $Told.AGENT_CONFIG -Destination "$env:ProgramFiles\Amazon\SSM\amazon-ssm-agent.json" }
    if ($Told.PROXY) {
        $values = "http_proxy=$($Told.PROXY)", "https_proxy=$($Told.PROXY)", "no_proxy=$(if ($Told.NO_PROXY) { $Told.NO_PROXY } else { '169.254.169.254' })"
        Set-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\AmazonSSMAgent' -Name Environment -Type MultiString -Value $values
    }
    Stop-Here 0 'ok' 'the agent is installed'
}

function Start-Agent {
    Add-Progress 'starting'
    try {
        Restart-Service -Force -Name AmazonSSMAgent
        (Get-Service -Name AmazonSSMAgent).WaitForStatus('Running', '00:00:30')
    } catch { Stop-Here 33 'service-not-started' $_.Exception.Message }
}

function Invoke-Register {
    if (-not (Get-AgentVersion)) { Stop-Here 24 'agent-absent' 'there is no agent' }
    if (-not ($Told.ACTIVATION_ID -and $Told.ACTIVATION_CODE -and $Told.REGION)) { Stop-Here 40 'bad-parameters' 'the activation is missing' }
    $registered = Get-Registration
    if ($registered -and (Test-Path $Marker) -and (Get-Content -Raw -Path $Marker).Trim() -eq $Told.ACTIVATION_ID) {
        Start-Agent
        Stop-Here 0 'ok' 'it was registered already with this activation'
    }
    if ($registered -and $Told.REREGISTER -ne 'true') { Stop-Here 32 'registered-elsewhere' "it is registered as $($registered.node)" }
    Add-Progress 'registering'
    Stop-Service -Force -Name AmazonSSMAgent -ErrorAction SilentlyContinue
    # The agent takes the code in no other way.
    $said = & $Program -register -code $Told.ACTIVATION_CODE -id $Told.ACTIVATION_ID -region $Told.REGION -y 2>&1 | Out-String
    $status = $LASTEXITCODE
    $Told.ACTIVATION_CODE = $null
    if ($status -ne 0 -or -not (Get-Registration)) {
        if ($said -match 'InvalidActivation|ActivationExpired|ActivationLimit|RegistrationLimit') { Stop-Here 30 'activation-refused' 'AWS does not accept the activation' }
        Stop-Here 31 'registration-failed' "the agent ended with $status"
    }
    Set-Content -Path $Marker -Value $Told.ACTIVATION_ID
    Start-Agent
    Stop-Here 0 'ok' 'it is registered'
}

if (-not $Dir -or -not (Test-Path $Dir)) { exit 40 }
if ($Step -eq 'cleanup') {
    Remove-Item -Recurse -Force -Path $Dir
    exit 0
}
try {
    $principal = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) { Stop-Here 18 'not-privileged' 'it runs without an elevated token' }
    Read-Parameters
    switch ($Step) {
        'preflight' { Invoke-Preflight; Stop-Here 0 'ok' 'the guest can be enrolled' }
        'prepare' { Invoke-Prepare }
        'register' { Invoke-Register }
        'restart' { Start-Agent; Stop-Here 0 'ok' 'the agent was started again' }
        default { Stop-Here 40 'bad-parameters' 'there is no such step' }
    }
} catch {
    Stop-Here 41 'internal' $_.Exception.Message
}
