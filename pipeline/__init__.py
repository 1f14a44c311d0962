from strop.pipeline.threads import wait_briefly

wait_briefly()  # before a library that reads it is loaded
