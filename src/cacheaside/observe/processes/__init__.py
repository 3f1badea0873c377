"""The numbers of several processes as one: each writes its own into a folder, whoever is asked adds them up.

*What is in the folder.* Of each process a lock, which it holds as long as it lives, and its last snapshot. Of all that
ended, one file with the sum of what they counted. The kernel lets go of a lock when its process is gone, whatever ended
it; so who is alive needs no pid, which another may have by now, and no clock.

*What is shown is what is written*, by the process that is scraped too. Else: (1) A is scraped, and shows what it has
counted (2) B is scraped before A writes, and shows less.

Start reading at `folder.py`.
"""
