"""Every schema of Apprise, by where it reaches: what channels may name, what an operator may add, what nobody may.

Schemas arrive with every release of Apprise; a test fails until each has its place here.
"""

from __future__ import annotations

from enum import StrEnum


class Reach(StrEnum):
    """Where a message of a schema goes, which decides who may use it."""

    DEFAULT = "default"  # a hosted service, on the list of delivery.allow_schemas unless the operator writes another
    HOSTED = "hosted"  # a hosted service: the operator may add it
    CLOUD = "cloud"  # its address holds the keys of a cloud account: the operator may add it
    ANY_HOST = "any-host"  # the address chooses the host, so the egress guard decides: the operator may add it
    LOCAL = "local"
    HOP = "hop"
    SMTP = "smtp"
    RAW = "raw"


NEVER: dict[Reach, str] = {
    Reach.LOCAL: "it acts on the machine that this service runs on",
    Reach.HOP: "it hands the message to another service that chooses where it goes; what came of it would not be known",
    Reach.SMTP: "mail goes through the operator's server; write mailto:desk@example.org",
    Reach.RAW: "it speaks no HTTP, so there is no answer to tell whether the message arrived",
}
"""Why nobody may use such a schema, whatever the operator allows."""

_SCHEMAS: dict[Reach, str] = {
    Reach.DEFAULT: (
        "slack discord tgram workflow workflows gchat webex wxteams pover pbul opsgenie pagerduty ntfy ntfys"
    ),
    Reach.LOCAL: "syslog dbus kde qt glib gio gnome macosx windows blink1",
    Reach.HOP: "apprise apprises",
    Reach.SMTP: "mailto mailtos",
    Reach.RAW: "rsyslog mqtt mqtts amqp amqps irc ircs xmpp xmpps smpp smpps aprs growl nostr deltachat deltachats",
    Reach.CLOUD: "ses sns",
    Reach.ANY_HOST: (
        "bark barks betterstack emby embys enigma2 enigma2s evolution evolutions flowtriq flowtriqs fluxer "
        "fluxers form forms goalert goalerts gorush gorushs gotify gotifys hassio hassios humhub humhubs infobip "
        "jellyfin jellyfins json jsons kodi kodis lametric lametrics mailgun mastodon mastodons matrix matrixs "
        "misskey misskeys mmost mmosts ncloud nclouds nctalk nctalks notica noticas notifico notificos onebot "
        "onebots parsep parseps pinglet pinglets pjet pjets pushdeer pushdeers rocket rockets sendpulse session "
        "sessions signal signals smseagle smseagles smtp2go sogs sparkpost synology synologys toot toots trigv "
        "trigvs wechat xbmc xbmcs xmatters xml xmls"
    ),
    Reach.HOSTED: (
        "46elks atalk azure bluesky brevo bsky bulksms bulkvs burstsms chanify clickatell clicksend cliq cm d7sms "
        "dapnet dingtalk dot eight00com elks exotel fcm feishu firehydrant flock freemobile github groundmail "
        "groupme guilded gupshup httpsms ifttt ilert incidentio jira join kakao kakaotalk kaleyra kavenegar klr "
        "kook kudosity kumulos lark lauther lfg line mailersend mobilemessage mobilemsg msg91 msgbird nexmo "
        "notifiarr notifyre o365 octopush onesignal pagertree pingram plivo postmark prowl psafer psafers push "
        "pushed pushme pushplus pushward pushy qq reddit resend revolt ringc ryver schan sendgrid serwersms seven "
        "sfr signalgrid signl4 simplepush sinch smsc smsmanager smsmgr smstunnel spike splunk spugpush spush "
        "squadcast stackfield strmlabs telesign telnyx threema tweet twilio twist twitter vapid viber victorops "
        "voipms vonage wecom wecombot whapi whatsapp wpush wxpusher x youlmk zalo zcliq zohocliq zoom zulip"
    ),
}

REACH: dict[str, Reach] = {schema: reach for reach, names in _SCHEMAS.items() for schema in names.split()}
"""Where each schema of the installed Apprise reaches."""
