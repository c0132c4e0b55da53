"""
django-post_office as a program: for each line of its input, that many messages; then a line back.

`python -m bench.mailer_of_django '{"database": {…}, "port": …, "message": {…}}'`. Messages are
stored first, one `mail.send` each as an application does, then delivered by its own command.
"""

from __future__ import annotations

import json
import logging
import sys

import django
from django.conf import settings

THREADS = 20  # as many connections as the others have; fewer were slower


def configure(database: dict[str, object], port: int) -> None:
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        DATABASES={"default": database},
        EMAIL_BACKEND="post_office.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        POST_OFFICE={"THREADS_PER_PROCESS": THREADS, "BATCH_SIZE": 1000, "LOG_LEVEL": 0},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    logging.disable(logging.CRITICAL)


def main() -> None:
    options = json.loads(sys.argv[1])
    configure(options["database"], options["port"])

    from django.core.management import call_command  # needs the settings
    from post_office import mail

    call_command("migrate", verbosity=0)
    message = options["message"]
    for line in sys.stdin:
        for _ in range(int(line)):
            mail.send(
                message["to"],
                message["from"],
                subject=message["subject"],
                message=message["text"],
                html_message=message["html"],
            )
        mail.send_queued_mail_until_done()
        print("done", flush=True)


if __name__ == "__main__":
    main()
